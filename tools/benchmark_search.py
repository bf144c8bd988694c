"""The ``search`` subject of benchmark.py: galleries of 10,000 to 1,000,000 images, and embedding them.

Vectors are drawn by the rule of benchmark_vectors.py, because no public gallery of persons is that large: a
gallery of visible images, and infrared queries. Recall is the share of the exact ten best that are found.

Each row is of a process of its own that opens the store, after ten queries that are not counted. "Newest
outside" is the same store after the last images were replaced, which its index does not have then. "Of a
scan" is the time as a share of that in which one core multiplies a query with all vectors in memory (NumPy),
timed just before and just after.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmark_embedding import embedding_figures
from benchmark_vectors import DIMENSION, PER_PERSON, blocks, queried_persons, queries

ROOT = Path(__file__).resolve().parents[1]
QUERIES, WARM, TOP = 100, 10, 10
CAMERAS, AT_ONCE, NEWEST_SHARE = 6, 10_000, 0.005
# nothing else used. Its exact search was a scan of all vectors: 9.5 and 83.4 ms.
# nothing else used. Its exact search was a scan of all vectors, 9.5 and 83.4 ms.
BEFORE = {
    100_000: {"ms": 2.3, "ms_95": 2.8, "ms_one_camera": 2.8, "recall": 1.0, "share": 0.24},
    1_000_000: {"ms": 9.2, "ms_95": 9.8, "ms_one_camera": 13.4, "recall": 0.997, "share": 0.11},
}
COLUMNS = {
    "search": ("search", "{}"),
    "build_s": ("build s", "{:.0f}"),
    "open_s": ("open s", "{:.2f}"),
    "ms": ("ms a query", "{:.1f}"),
    "ms_95": ("95 % below", "{:.1f}"),
    "ms_one_camera": ("one camera, ms", "{:.1f}"),
    "recall": ("recall@10", "{:.3f}"),
    "share": ("of a scan", "{:.2f}"),
    "rank_1": ("Rank-1", "{:.0%}"),
    "memory_mib": ("memory MiB", "{:.0f}"),
    "disk_mib": ("disk MiB", "{:.0f}"),
}

EXAMPLES = """
examples:
  python tools/benchmark.py search
  python tools/benchmark.py search --images 100000 --no-embedding --json search.json
  OMP_NUM_THREADS=2 python tools/benchmark.py search --folder /mnt/fast    # where the stores are made
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument(
        "--images",
        nargs="+",
        type=int,
        default=[10_000, 100_000, 1_000_000],
        metavar="N",
        help="sizes of the gallery (default 10000 100000 1000000: 5 GB on disk and in memory, 5 minutes)",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where the stores are made (default: /tmp)"
    )
    parser.add_argument("--no-embedding", action="store_true", help="only the search")
    parser.add_argument(
        "--config-file", default="vireid/sysu", metavar="CONFIG", help="what embeds (default vireid/sysu)"
    )
    parser.add_argument("--measure", metavar="STORE", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print tables, or, in a child process, one row."""
    if arguments.measure:
        print(json.dumps(measure(Path(arguments.measure), arguments.images[0])))
        return
    rows = []
    for count in arguments.images:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            rows += search_rows(Path(folder) / "store", count)
    embedding = None if arguments.no_embedding else embedding_figures(arguments.config_file)
    report(rows, embedding)
    if arguments.json:
        figures = {"machine": machine(), "search": rows, "embedding": embedding}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def search_rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """Figures of a gallery, and of the same where the index does not have the newest images."""
    from vireid.inference.records import About, Entry
    from vireid.inference.stores import open_store

    vectors, asked = np.concatenate(list(blocks(count))), queries(count, QUERIES)
    exact = np.stack([np.argsort(-(vectors @ query))[:TOP] for query in asked])
    store = open_store(folder, About("benchmark", DIMENSION), create=True)

    def add(first: int, last: int) -> None:
        for start in range(first, last, AT_ONCE):
            some = range(start, min(start + AT_ONCE, last))
            entries = [Entry(f"/{n}", camera=str(n % CAMERAS), identity=str(n // PER_PERSON)) for n in some]
            store.add(entries, vectors[some.start : some.stop])

    rows: list[dict[str, Any]] = []
    for name in ("all indexed", "newest outside"):
        started = time.perf_counter()
        with store.writing():
            if not rows:
                add(0, count)
                store.optimize()
            else:
                add(count - int(count * NEWEST_SHARE), count)
        row = {"images": count, "search": name, "build_s": time.perf_counter() - started}
        scans = scan_ms(vectors, asked)
        row |= child(folder, count)
        found_paths: Any = row.pop("found")
        row["share"] = row["ms"] / np.median([*scans, *scan_ms(vectors, asked)])
        found = np.array([[int(path.removeprefix("/")) for path in paths] for paths in found_paths])
        row["recall"] = float(np.mean([len({*a} & {*b}) / TOP for a, b in zip(found, exact)]))
        row["rank_1"] = float(
            np.mean(found[:, 0] % max(1, count // PER_PERSON) == queried_persons(count, QUERIES))
        )
        row["disk_mib"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
        print(f"{count} images, {name}: {row['ms']:.1f} ms a query", file=sys.stderr)
        rows.append(row)
        if store.info()["search"] == "exact":
            break
    store.close()
    return rows


def scan_ms(vectors: np.ndarray, asked: np.ndarray) -> list[float]:
    """Milliseconds of the products of all vectors with each of some queries, on one core."""
    found = []
    for query in asked[:WARM]:
        started = time.perf_counter()
        np.einsum("nd,d->n", vectors, query)
        found.append(1e3 * (time.perf_counter() - started))
    return found


def child(folder: Path, count: int) -> dict[str, Any]:
    """``measure`` in a process of its own."""
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), "search", "--measure", str(folder)]
    result = subprocess.run(
        [*command, "--images", str(count)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={"OMP_WAIT_POLICY": "passive", **os.environ},
    )
    return json.loads(result.stdout.splitlines()[-1])


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Milliseconds of a query, and memory beyond that of the libraries."""
    import lancedb  # noqa: F401  (held before the store is opened)

    from vireid.inference.records import EVERYTHING, Where
    from vireid.inference.stores import open_store

    asked, held = queries(count, QUERIES), memory_mib()
    started = time.perf_counter()
    store = open_store(folder)
    len(store)
    opened = time.perf_counter() - started
    found: list[list[str]] = []

    def times(where: Where, vectors: np.ndarray) -> list[float]:
        taken = []
        for number, vector in enumerate(np.concatenate([asked[-WARM:], vectors])):
            started = time.perf_counter()
            (matches,) = store.search(vector[None], TOP, where)
            if number >= WARM:
                taken.append(1e3 * (time.perf_counter() - started))
                found.append([match.path for match in matches])
        return taken

    everything = times(EVERYTHING, asked)
    used = memory_mib() - held
    return {
        "open_s": opened,
        "ms": float(np.median(everything)),
        "ms_95": float(np.quantile(everything, 0.95)),
        "found": found[:QUERIES],
        "ms_one_camera": float(np.median(times(Where(cameras=("1",)), asked[:50]))),
        "memory_mib": used,
    }


def memory_mib() -> float:
    """What this process holds in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def report(rows: list[dict[str, Any]], embedding: dict[str, Any] | None) -> None:
    """Print tables."""
    from tabulate import tabulate

    shown = [*rows]
    for count, before in BEFORE.items():
        if any(row["images"] == count for row in rows):
            shown.append({"images": count, "search": "before", **before})
    table = [
        [
            f"{row['images']:,}",
            *(form.format(row[key]) if key in row else "" for key, (_, form) in COLUMNS.items()),
        ]
        for row in sorted(shown, key=lambda row: row["images"])
    ]
    headers = ["images", *(title for title, _ in COLUMNS.values())]
    print(tabulate(table, headers, tablefmt="github", disable_numparse=True))
    print(f"\n{machine()}. {DIMENSION} numbers an image. Open: once, in each process that searches.")
    if embedding:
        of_network, of_backbone = (100 * embedding[f"share_of_{name}"] for name in ("network", "backbone"))
        print(
            f"\nEmbedding, {embedding['config']}: {embedding['images_per_second']:.1f} images a second from "
            f"files. That is {of_network:.0f} % of what the network does alone "
            f"({embedding['network_images_per_second']:.1f}), and {of_backbone:.0f} % of what its bare "
            f"backbone does ({embedding['backbone_images_per_second']:.1f})"
        )


def machine() -> str:
    """Cores, processor, threads, and how busy it is."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    model = models[0].split(":")[1].strip() if models else "unknown processor"
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, OMP_NUM_THREADS {threads}, load {os.getloadavg()[1]:.0f}"
