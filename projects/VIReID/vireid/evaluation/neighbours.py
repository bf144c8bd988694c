"""Nearest neighbours by squared Euclidean distance, in blocks of rows: never all pairs at once."""

from collections.abc import Iterator

import faiss
import numba
import numpy as np
import torch

from vireid.errors import ConfigError
from vireid.evaluation.compiled import kernel

# Distances held at a time.
_BLOCK_VALUES = 1 << 21


def squared_distance_blocks(
    rows: torch.Tensor, columns: torch.Tensor
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Slices of the rows (N, D), each with its squared distances to all columns (M, D)."""
    norms = columns.square().sum(dim=1)
    size = max(1, _BLOCK_VALUES // max(1, len(columns)))
    for first in range(0, len(rows), size):
        block = rows[first : first + size]
        dist = torch.addmm(norms, block, columns.T, alpha=-2)
        dist += block.square().sum(dim=1, keepdim=True)
        yield slice(first, first + len(block)), dist.clamp_min_(0)


def nearest(dist: torch.Tensor, count: int) -> np.ndarray:
    """(N, count) int32, columns of the smallest values of each row of (N, M), ascending, ties by column."""
    result = np.empty((dist.shape[0], count), dtype=np.int32)
    _nearest(dist.cpu().numpy(), result)
    return result


def neighbour_lists(features: torch.Tensor, count: int, index: str = "flat") -> np.ndarray:
    """Each item's nearest items, itself among them, as (N, count) int32, nearest first; -1 is none.

    Args:
        features: (N, D) float32; on a GPU, distances are computed there.
        index: "flat" is exact; "ivf" searches the nearest 1/16 of about 4 sqrt(N) cells, for N beyond
            some 100,000.

    Raises:
        ConfigError: an unknown index.
    """
    if index not in ("flat", "ivf"):
        raise ConfigError(f'index is "{index}"; it must be "flat" or "ivf"')
    if index == "ivf":
        items = features.cpu().numpy()
        cells = max(1, min(int(4 * len(items) ** 0.5), len(items) // 39))
        inverted = faiss.IndexIVFFlat(faiss.IndexFlatL2(items.shape[1]), items.shape[1], cells)
        inverted.train(items)
        inverted.add(items)
        inverted.nprobe = max(1, cells // 16)
        return inverted.search(items, count)[1].astype(np.int32)
    if features.device.type == "cpu":
        # What the toolkit's search calls: the same lists to the last bit.
        items = features.numpy()
        return faiss.knn(items, items, count)[1].astype(np.int32)
    return lists_and_furthest(features, count)[0]


def lists_and_furthest(features: torch.Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact neighbour lists (N, count) int32, ties by position, and each item's greatest squared
    distance to any (N,) float32, which is never zero: it is there to be divided by."""
    lists = np.empty((len(features), count), dtype=np.int32)
    furthest = np.empty(len(features), dtype=np.float32)
    for rows, dist in squared_distance_blocks(features, features):
        lists[rows] = nearest(dist, count)
        furthest[rows] = dist.amax(dim=1).cpu().numpy()
    return lists, np.maximum(furthest, np.finfo(np.float32).tiny)


@kernel
def _nearest(dist, result):
    count = result.shape[1]
    for row in numba.prange(dist.shape[0]):
        best = np.full(count, np.inf, dtype=dist.dtype)
        own = result[row]
        for column in range(dist.shape[1]):
            d = dist[row, column]
            if d < best[count - 1]:
                place = count - 1
                while place > 0 and best[place - 1] > d:
                    best[place] = best[place - 1]
                    own[place] = own[place - 1]
                    place -= 1
                best[place] = d
                own[place] = column
