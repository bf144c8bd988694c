"""The ``ranking`` subject of benchmark.py: protocols and re-ranking, on features of random persons.

Every figure is of a process of its own: the best of a few runs after one small one (which loads the compiled
code), and the peak of its memory beyond what it held before the first full run. CPU time is that of all
threads; where other programs use the cores, it says more than the time that passed.

Longer than 250 lines: each operation stands beside the work of others that it is compared with.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = ("ours", "plain", "toolkit", "product")
EXAMPLES = """
examples:
  python tools/benchmark.py ranking --json ranking.json
  python tools/benchmark.py ranking --only MSER
  python tools/benchmark.py ranking --large
"""
Work = Callable[[], Any]


@dataclass(frozen=True)
class Operation:
    """What is timed: ``prepare(small)`` gives the work of each variant that there is."""

    name: str
    target: str
    prepare: Callable[[bool], dict[str, Work]]
    large: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument("--large", action="store_true", help="also a gallery of 98,000 images: 5 minutes")
    parser.add_argument("--only", metavar="WORD", default="", help="operations with this word in their name")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print a table, or, in a child process, one figure."""
    if arguments.variant:
        operation = next(o for o in OPERATIONS if o.name == arguments.only)
        print(json.dumps(_measure(operation, arguments.variant, arguments.small)))
        return
    chosen = [o for o in OPERATIONS if arguments.only in o.name and (arguments.large or not o.large)]
    compile_s = _compile_seconds()
    rows = []
    for operation in chosen:
        figures = {}
        for variant in operation.prepare(True):
            figures[variant] = _child(operation.name, variant)
            print(f"{operation.name}, {variant}: {figures[variant]['seconds']:.2f} s", file=sys.stderr)
        rows.append(_row(operation, figures))
    _print(rows, compile_s)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"machine": _machine(), "compile_s": compile_s, "operations": rows}, indent=2) + "\n"
        )


def _compile_seconds() -> float:
    """How much longer the first calls take where nothing is compiled yet."""
    with tempfile.TemporaryDirectory() as cache:
        return sum(
            _child(operation.name, "ours", "--small", NUMBA_CACHE_DIR=cache)["first_s"]
            - _child(operation.name, "ours", "--small")["first_s"]
            for operation in OPERATIONS
            if not operation.large
        )


def _child(name: str, variant: str, *options: str, **environment: str) -> dict[str, float]:
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), "ranking", "--only", name]
    command += ["--variant", variant, *options]
    # A thread that waits for another one spends no CPU time on it.
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"} | environment
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _measure(operation: Operation, variant: str, small_only: bool) -> dict[str, float]:
    small = operation.prepare(True)[variant]
    start = time.perf_counter()
    small()
    first = time.perf_counter() - start
    if small_only:
        return {"first_s": first}
    work = operation.prepare(False)[variant]
    held = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    times: list[float] = []
    cpu_times: list[float] = []
    while not times or (len(times) < 7 and sum(times) < 20):
        start, cpu_start = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    return {
        "seconds": min(times),
        "cpu_seconds": min(cpu_times),
        "peak_mib": _memory("VmHWM") - held,
        "first_s": first,
    }


def _memory(field: str) -> float:
    """MiB of a field of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def _row(operation: Operation, figures: dict[str, dict[str, float]]) -> dict[str, Any]:
    ours = figures["ours"]
    row: dict[str, Any] = {
        "operation": operation.name,
        "seconds": ours["seconds"],
        "cpu_seconds": ours["cpu_seconds"],
        "peak_mib": ours["peak_mib"],
        "target": operation.target,
    }
    for variant in VARIANTS[1:]:
        if variant in figures:
            row[f"{variant}_seconds"] = figures[variant]["seconds"]
            row[f"{variant}_cpu_seconds"] = figures[variant]["cpu_seconds"]
            row[f"{variant}_peak_mib"] = figures[variant]["peak_mib"]
    return row


def _print(rows: list[dict[str, Any]], compile_s: float) -> None:
    from tabulate import tabulate

    def times(row: dict[str, Any], field: str, own: str) -> str:
        return f"{row[field] / row[own]:.1f}" if field in row else "-"

    table = [
        [
            row["operation"],
            f"{row['seconds']:.2f}",
            f"{row['cpu_seconds']:.2f}",
            f"{row['peak_mib']:.0f}",
            times(row, "plain_seconds", "seconds"),
            times(row, "toolkit_seconds", "seconds"),
            times(row, "toolkit_peak_mib", "peak_mib"),
            f"{row['seconds'] / row['product_seconds']:.1f}",
            row["target"],
        ]
        for row in rows
    ]
    headers = ["operation", "s", "CPU s", "peak MiB", "plain loop / ours", "toolkit / ours"]
    headers += ["toolkit's memory / ours", "ours / matrix product", "target"]
    print(tabulate(table, headers, tablefmt="github", disable_numparse=True))
    print(f"\n{_machine()}. Not counted: compiling, {compile_s:.0f} s once, kept on disk.")


def _machine() -> str:
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    model = models[0].split(":")[1].strip() if models else "unknown processor"
    return f"{len(os.sched_getaffinity(0))} cores of {model}"


def _features(count: int, size: int, pids: np.ndarray | None = None, spectra: int = 0) -> Any:
    """L2-normalized (count, size) float32 of persons, or (spectra, count, size)."""
    import torch

    generator = np.random.default_rng(0 if pids is None else len(pids))
    pids = generator.integers(0, 96, count) if pids is None else pids
    shape = (spectra, count, size) if spectra else (count, size)
    features = np.random.default_rng(0).standard_normal((pids.max() + 1, size), dtype=np.float32)[pids]
    features = features + generator.standard_normal(shape, dtype=np.float32)
    return torch.nn.functional.normalize(torch.from_numpy(features), dim=-1)


def _sysu_images(small: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Identities, cameras and numbers of the real test set's shape, and generated permutations."""
    shape = np.load(ROOT / "tests" / "golden" / "sysu_protocol.npz")
    pids, camids, numbers = (shape[name].astype(int) for name in ("pids", "camids", "numbers"))
    if small:
        keep = np.isin(pids, np.unique(pids)[:3])
        pids, camids, numbers = pids[keep], camids[keep], numbers[keep]
    generator = np.random.default_rng(0)
    cells = np.empty((6, 1), dtype=object)
    for camera in range(6):
        cells[camera, 0] = np.empty((pids.max(), 1), dtype=object)
        for pid in range(pids.max()):
            own = numbers[(camids == camera + 1) & (pids == pid + 1)]
            cells[camera, 0][pid, 0] = np.array([generator.permutation(own) for _ in range(10)]).reshape(
                10, -1
            )
    return pids, camids, numbers, cells


def _sysu(small: bool) -> dict[str, Work]:
    import torch

    from vireid.evaluation import evaluate_settings, sysu_settings

    pids, camids, numbers, cells = _sysu_images(small)
    features = _features(len(pids), 64, pids)
    infrared = np.isin(camids, (3, 6))

    def ours() -> None:
        evaluate_settings(features, pids, sysu_settings(pids, camids, numbers, cells))

    def plain() -> None:
        for setting in sysu_settings(pids, camids, numbers, cells):
            for trial in setting.trials:
                _plain_trial(features.numpy(), pids, trial)

    query, gallery = features[infrared], features[~infrared]
    return {"ours": ours, "plain": plain, "product": lambda: torch.mm(query, gallery.T)}


def _plain_trial(features: np.ndarray, pids: np.ndarray, trial: Any) -> None:
    """A trial as published codes score it: for each query sort its row, drop what is left out, count."""
    dist = 1 - features[trial.query] @ features[trial.gallery].T
    gallery_pids = pids[trial.gallery]
    cmc, precisions, penalties = np.zeros(20), [], []
    for row, pid, key in zip(dist, pids[trial.query], trial.query_keys):
        order = np.argsort(row, kind="stable")
        order = order[trial.gallery_keys[order] != key]
        ranked = gallery_pids[order]
        ranks = np.flatnonzero(ranked == pid) + 1
        if len(ranks) == 0:
            continue
        _, first = np.unique(ranked[: ranks[0]], return_index=True)
        cmc[len(first) - 1 :] += 1
        precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        penalties.append(len(ranks) / ranks[-1])


def _mser(gallery_size: int, trials: int) -> Callable[[bool], dict[str, Work]]:
    def prepare(small: bool) -> dict[str, Work]:
        import torch

        from mcja.multi_spectral import MultiSpectralReranker

        query = _features(60 if small else 3803, 64)
        galleries = [_features(20 if small else gallery_size, 64, spectra=4) for _ in range(trials)]

        def ours() -> None:
            reranker = MultiSpectralReranker([query], 40, 20, 0.3, query_neighbours_only=True)
            for gallery in galleries:
                reranker.rank(list(gallery))

        def product() -> None:
            torch.mm(query, query.T)
            for gallery in galleries:
                for spectrum in gallery:
                    torch.mm(query, spectrum.T)

        return {"ours": ours, "product": product}

    return prepare


def _jaccard(count: int, queries: int, size: int, compare: bool = True) -> Callable[[bool], dict[str, Work]]:
    def prepare(small: bool) -> dict[str, Work]:
        import torch

        import vireid  # noqa: F401  (makes the toolkit importable)
        from vireid.evaluation import k_reciprocal_jaccard

        features = _features(100 if small else count, size)
        split = 30 if small else queries

        def toolkit() -> None:
            from fastreid.utils.compute_dist import compute_jaccard_distance

            compute_jaccard_distance(features, 20, 6, search_option=3)

        def product() -> None:
            for block in features.split(2048):
                torch.mm(block, features.T)

        works = {"ours": lambda: k_reciprocal_jaccard(features[:split], features[split:]), "product": product}
        return works | ({"toolkit": toolkit} if compare else {})

    return prepare


OPERATIONS = [
    Operation("SYSU-MM01, 4 settings x 10 trials, D=64", "1.0 s; 30 x plain loop", _sysu),
    Operation("MSER, single-shot, 1 trial", "1.0 s", _mser(301, 1)),
    Operation("MSER, single-shot, 10 trials", "5 s", _mser(301, 10)),
    Operation("MSER, multi-shot, 10 trials", "90 s; 3 GiB", _mser(3010, 10)),
    Operation("Jaccard N=6,813 D=64", "8 x toolkit; 1/4 of its memory", _jaccard(6813, 3803, 64)),
    Operation("Jaccard N=6,813 D=2,048", "", _jaccard(6813, 3803, 2048)),
    Operation(
        "Jaccard N=100,000 D=512, 2,000 queries",
        "600 s; 6 GiB",
        _jaccard(100_000, 2000, 512, False),
        large=True,
    ),
]
