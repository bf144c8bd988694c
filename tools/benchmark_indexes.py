"""Indexes of faiss by the name of its factory, beside each other: recall and time of a query."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmark_vectors import DIMENSION, blocks, queries

TRAINING_ROWS = 196_608
PROBES = (32, 128, 512)  # cells of an inverted file that a query looks into
CANDIDATES = (100, 300, 1000)  # scored exactly


def index_rows(count: int, factories: list[str], number: int, top: int) -> Iterator[dict[str, Any]]:
    """Print a line for each setting of each index, and give its figures.

    Args:
        count: images of the gallery.
        factories: such as "IVF4096,SQ8".
        number: queries.
        top: found images; recall is against the exact ones.
    """
    import faiss

    vectors, asked = np.concatenate(list(blocks(count))), queries(count, number)
    exact = faiss.knn(asked, vectors, top, metric=faiss.METRIC_INNER_PRODUCT)[1]
    chosen = np.random.default_rng(0).permutation(count)[:TRAINING_ROWS]
    for name in factories:
        started = time.perf_counter()
        index = faiss.index_factory(DIMENSION, name, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[chosen])
        for first in range(0, count, 100_000):
            index.add(vectors[first : first + 100_000])
        build = time.perf_counter() - started
        cells = faiss.try_extract_index_ivf(index)
        for probe in PROBES if cells is not None else (0,):
            if cells is not None:
                cells.nprobe = probe
            for candidates in CANDIDATES:
                times, recalls = [], []
                for query, right in zip(asked, exact):
                    started = time.perf_counter()
                    found = index.search(query[None], candidates)[1][0]
                    found = found[found >= 0]
                    scores = np.einsum("nd,d->n", vectors[found], query)
                    best = found[np.argsort(-scores)[:top]]
                    times.append(time.perf_counter() - started)
                    recalls.append(len({*best} & {*right}) / top)
                looked = f", {probe} cells" if probe else ""
                recall, ms = float(np.mean(recalls)), 1e3 * float(np.median(times))
                print(
                    f"{count:,} images, {name}{looked}, {candidates} candidates: recall@{top} {recall:.3f}, "
                    f"{ms:.1f} ms, built in {build:.0f} s",
                    flush=True,
                )
                row = {"images": count, "index": name, "cells": probe, "candidates": candidates}
                yield {**row, "build_s": build, f"recall_at_{top}": recall, "ms": ms}
