"""The ``search`` subject of benchmark.py: a gallery of 100,000 and of 1,000,000 images, and embedding them.

Vectors are drawn by the rule of benchmark_vectors.py, because no public gallery of persons is that large: a
gallery of visible images, and infrared queries.

Each figure is of a process of its own that opens the store, after ten queries that are not counted. Memory is
what the process holds beyond what it held before it opened the store; most of it is files that are mapped,
which the system may drop. Recall is the share of the exact ten best that are found.
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
from benchmark_indexes import index_rows
from benchmark_vectors import DIMENSION, PER_PERSON, blocks, queried_persons, queries

ROOT = Path(__file__).resolve().parents[1]
QUERIES, TOP = 200, 10
CAMERAS = 6
EXACT, APPROXIMATE = 10**9, 0  # as exact_up_to

EXAMPLES = """
examples:
  python tools/benchmark.py search
  python tools/benchmark.py search --images 100000 --no-embedding --json search.json
  python tools/benchmark.py search --images 1000000 --factory IVF4096,SQ8 PQ128x4fs
  OMP_NUM_THREADS=2 python tools/benchmark.py search --folder /mnt/fast    # where the stores are made
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument(
        "--images",
        nargs="+",
        type=int,
        default=[100_000, 1_000_000],
        metavar="N",
        help="sizes of the gallery (default 100000 1000000: 2 GB on disk, 5 minutes)",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where the stores are made (default: /tmp)"
    )
    parser.add_argument("--no-embedding", action="store_true", help="only the search")
    parser.add_argument(
        "--config-file", default="vireid/sysu", metavar="CONFIG", help="what embeds (default vireid/sysu)"
    )
    parser.add_argument(
        "--factory", nargs="+", metavar="NAME", help="instead, measure these indexes of faiss in memory"
    )
    parser.add_argument("--measure", metavar="STORE", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print tables, or, in a child process, one figure."""
    if arguments.measure:
        print(json.dumps(measure(Path(arguments.measure), arguments.images[0])))
        return
    if arguments.factory:
        indexes = [
            row for count in arguments.images for row in index_rows(count, arguments.factory, QUERIES, TOP)
        ]
        if arguments.json:
            write_json(arguments.json, indexes=indexes)
        return
    rows = []
    for count in arguments.images:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            rows += search_rows(Path(folder) / "store", count)
    embedding = None if arguments.no_embedding else embedding_figures(arguments.config_file)
    report(rows, embedding)
    if arguments.json:
        write_json(arguments.json, search=rows, embedding=embedding)


def search_rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """Figures of an exact and of an approximate search."""
    from vireid.inference.records import About, Entry
    from vireid.inference.store import open_store

    about = About("benchmark", DIMENSION)
    store = open_store(folder, about, create=True, exact_up_to=EXACT)
    started, first = time.perf_counter(), 0
    with store.writing():
        for vectors in blocks(count):
            numbers = range(first, first + len(vectors))
            store.add([Entry(f"/{n}", camera=str(n % CAMERAS)) for n in numbers], vectors)
            first += len(vectors)
    rows = [
        {"images": count, "search": "exact", "build_s": time.perf_counter() - started, **child(folder, count)}
    ]
    store.close()
    started = time.perf_counter()
    store = open_store(folder, about, exact_up_to=APPROXIMATE)
    with store.writing():
        store.optimize()
    store.close()
    build = time.perf_counter() - started
    rows.append({"images": count, "search": "approximate", "build_s": build, **child(folder, count)})
    exact, found = (row.pop("found") for row in rows)
    persons = queried_persons(count, QUERIES)
    for row, own in zip(rows, (exact, found)):
        ranked = np.array([int(paths[0].removeprefix("/")) for paths in own])
        row["rank_1"] = float(np.mean(ranked % max(1, count // PER_PERSON) == persons))
        row["recall_at_10"] = float(np.mean([len({*a} & {*b}) / TOP for a, b in zip(own, exact)]))
        print(f"{count} images, {row['search']}: {row['ms']:.1f} ms a query", file=sys.stderr)
    return rows


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
    """Milliseconds of a query, and memory."""
    import faiss  # noqa: F401  (held before the store is opened)

    from vireid.inference.records import EVERYTHING, Where
    from vireid.inference.store import open_store

    vectors = queries(count, QUERIES)
    held = memory("VmRSS")
    started = time.perf_counter()
    store = open_store(folder)
    len(store)
    opened = time.perf_counter() - started
    found = []
    times: dict[str, list[float]] = {"": [], "camera": []}
    for name, where in (("", EVERYTHING), ("camera", Where(cameras=("1",)))):
        for number, vector in enumerate(
            np.concatenate([vectors[-10:], vectors if not name else vectors[:20]])
        ):
            started = time.perf_counter()
            (matches,) = store.search(vector[None], TOP, where)
            if number >= 10:
                times[name].append(time.perf_counter() - started)
                if not name:
                    found.append([match.path for match in matches])
        if not name:
            used = memory("VmRSS") - held
            own = memory("RssAnon")
    return {
        "open_s": opened,
        "ms": 1e3 * float(np.median(times[""])),
        "ms_95": 1e3 * float(np.quantile(times[""], 0.95)),
        "ms_one_camera": 1e3 * float(np.median(times["camera"])),
        "memory_of_vectors": used * 2**20 / (4 * count * DIMENSION),
        "anonymous_mib": own,
        "found": found,
    }


def memory(field: str) -> float:
    """MiB of a field of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def report(rows: list[dict[str, Any]], embedding: dict[str, Any] | None) -> None:
    """Print tables."""
    from tabulate import tabulate

    table = [
        [
            f"{row['images']:,}",
            row["search"],
            f"{row['build_s']:.0f}",
            f"{row['open_s']:.2f}",
            f"{row['ms']:.1f}",
            f"{row['ms_95']:.1f}",
            f"{row['ms_one_camera']:.1f}",
            f"{row['recall_at_10']:.3f}",
            f"{100 * row['rank_1']:.0f}",
            f"{row['memory_of_vectors']:.2f}",
            f"{row['anonymous_mib']:.0f}",
        ]
        for row in rows
    ]
    headers = [
        "images",
        "search",
        "build s",
        "open s",
        "ms a query",
        "95 % below",
        "one camera, ms",
        "recall@10",
        "Rank-1",
    ]
    headers += ["memory / vectors", "of its own, MiB"]
    print(tabulate(table, headers, tablefmt="github", disable_numparse=True))
    print(
        f"\n{machine()}. {DIMENSION} numbers an image. Build: writing vectors and tables; for the "
        "approximate search, its codes beside "
        "that. Open: once, in each process that searches."
    )
    if embedding:
        of_network, of_backbone = (100 * embedding[f"share_of_{name}"] for name in ("network", "backbone"))
        print(
            f"\nEmbedding, {embedding['config']}: {embedding['images_per_second']:.1f} images a second from "
            f"files. That is {of_network:.0f} % of what the network does alone "
            f"({embedding['network_images_per_second']:.1f}), and {of_backbone:.0f} % of what its bare "
            f"backbone does ({embedding['backbone_images_per_second']:.1f})"
        )


def write_json(file: Path, **figures: Any) -> None:
    """Write figures, and on which machine they were measured."""
    file.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")


def machine() -> str:
    """Cores, processor and threads."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    model = models[0].split(":")[1].strip() if models else "unknown processor"
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return f"{len(os.sched_getaffinity(0))} cores of {model}, OMP_NUM_THREADS {threads}"
