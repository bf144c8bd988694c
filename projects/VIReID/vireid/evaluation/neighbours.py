"""Nearest neighbours by squared Euclidean distance, in blocks of rows: never all pairs at once."""

from collections.abc import Iterator
from importlib.util import find_spec

import numba
import numpy as np
import torch

from vireid.numba_loops import kernel

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


def smallest_columns(dist: torch.Tensor, count: int) -> np.ndarray:
    """Columns of the smallest values of each row, smallest first; equal values go by column.

    Args:
        dist: (N, M) float32.
        count: how many, at most M.

    Returns:
        (N, count) int32; -1 where a row has fewer values that are less than infinity.
    """
    if not 1 <= count <= dist.shape[1]:
        raise ValueError(f"count is {count}; expected 1 to {dist.shape[1]}, the number of columns")
    result = np.full((dist.shape[0], count), -1, dtype=np.int32)
    _smallest_columns(dist.cpu().numpy(), result)
    return result


def neighbour_lists(features: torch.Tensor, count: int) -> np.ndarray:
    """Each item's nearest items, itself among them.

    On the CPU, faiss searches, as the toolkit does, whichever package has it: the lists are the same to the
    last bit. Without faiss and on a GPU, PyTorch computes the distances, which are the same but for rounding.

    Args:
        features: (N, D) float32.
        count: length of the lists.

    Returns:
        (N, count) int32 positions, nearest first; -1 where there is none.
    """
    if features.device.type != "cpu" or find_spec("faiss") is None:
        return lists_and_furthest(features, count)[0]
    import faiss  # only where something is re-ranked: its import takes half a second

    items = features.numpy()
    return faiss.knn(items, items, count)[1].astype(np.int32)


def lists_and_furthest(features: torch.Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Each item's nearest items, and how far its furthest item is.

    Args:
        features: (N, D) float32.
        count: length of the lists, at most N.

    Returns:
        (N, count) int32 positions, nearest first, the item itself among them; equal distances go by
        position. (N,) float32 greatest squared distances; above zero, so that they can divide.
    """
    lists = np.full((len(features), count), -1, dtype=np.int32)
    furthest = np.empty(len(features), dtype=np.float32)
    for rows, dist in squared_distance_blocks(features, features):
        lists[rows] = smallest_columns(dist, count)
        furthest[rows] = dist.amax(dim=1).cpu().numpy()
    return lists, np.maximum(furthest, np.finfo(np.float32).tiny)


@kernel
def _smallest_columns(dist, result):
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
