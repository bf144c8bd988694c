"""k-reciprocal neighbours (Zhong et al., CVPR 2017) as sparse rows: memory grows with items x neighbours.

A re-ranker takes four steps: reciprocal sets of neighbour lists, weights (both here), means over neighbours
and Jaccard distances (``sparse_rows``). It chooses list lengths, expansion and scale.
"""

import numba
import numpy as np

from vireid.evaluation.arrays import require_positions, require_shapes
from vireid.evaluation.sparse_rows import SparseRows
from vireid.numba_loops import inner, kernel

_LANES = 16


def reciprocal_sets(features: np.ndarray, lists: np.ndarray, half: int = 0) -> SparseRows:
    """The k-reciprocal neighbours of each item, with their squared Euclidean distances.

    Args:
        features: (N, D) float32.
        lists: (N, K) int32, each item's neighbours, nearest first, itself among them; -1 is none.
        half: length of the lists by which sets are expanded: the reciprocal set of a neighbour, over
            the first ``half`` entries, is added where more than 2/3 of it is in the item's set. 0: none.
    """
    require_shapes(lists=(lists, (len(features), lists.shape[1])))
    require_positions(lists, len(features), "lists")
    halves, half_sizes = _half_sets(lists, half)
    counts = _count_members(lists, halves, half_sizes)
    start = np.concatenate([[0], np.cumsum(counts)])
    column = np.empty(start[-1], dtype=np.int32)
    value = np.empty(start[-1], dtype=np.float32)
    _fill_members(features, lists, halves, half_sizes, start, column, value)
    return SparseRows(start, column, value)


def neighbour_weights(sets: SparseRows, scale: np.ndarray | None = None) -> SparseRows:
    """exp(-distance / scale) of each row's members, divided by the row's sum.

    Args:
        sets: N rows of squared distances.
        scale: (N,) float, above zero; None is 1 for all.
    """
    require_shapes(scale=(scale, (len(sets),)))
    scale = np.ones(len(sets), dtype=np.float32) if scale is None else scale.astype(np.float32)
    value = np.empty_like(sets.value)
    _weigh(sets.start, sets.value, scale, value)
    return SparseRows(sets.start, sets.column, value)


@inner
def _reciprocal(lists, item, length, out):
    """Write those of an item's first ``length`` neighbours that have it among theirs; how many."""
    found = 0
    for a in range(length):
        other = lists[item, a]
        if other < 0:
            continue
        for b in range(length):
            if lists[other, b] == item:
                out[found] = other
                found += 1
                break
    return found


@inner
def _members(lists, halves, half_sizes, item, mark, out):
    """Write the (expanded) reciprocal set of an item; ``mark`` (N,) holds no stamp of this item yet."""
    found = _reciprocal(lists, item, lists.shape[1], out)
    if halves.shape[1] == 0:
        return found
    own, added = 2 * item + 1, 2 * item + 2
    for a in range(found):
        mark[out[a]] = own
    count = found
    for a in range(found):
        candidate = out[a]
        size = half_sizes[candidate]
        shared = 0
        for b in range(size):
            if mark[halves[candidate, b]] == own:
                shared += 1
        if shared > 2 / 3 * size:
            for b in range(size):
                other = halves[candidate, b]
                if mark[other] != own and mark[other] != added:
                    mark[other] = added
                    out[count] = other
                    count += 1
    return count


@kernel
def _half_sets(lists, half):
    sets = np.empty((lists.shape[0], half), dtype=np.int32)
    sizes = np.zeros(lists.shape[0], dtype=np.int32)
    if half > 0:
        for item in numba.prange(lists.shape[0]):
            sizes[item] = _reciprocal(lists, item, half, sets[item])
    return sets, sizes


@kernel
def _count_members(lists, halves, half_sizes):
    items = lists.shape[0]
    counts = np.zeros(items, dtype=np.int64)
    chunks = min(items, 64)
    for chunk in numba.prange(chunks):
        mark = np.zeros(items, dtype=np.int64)
        out = np.empty(min(items, lists.shape[1] * (1 + halves.shape[1])), dtype=np.int32)
        for item in range(chunk * items // chunks, (chunk + 1) * items // chunks):
            counts[item] = _members(lists, halves, half_sizes, item, mark, out)
    return counts


@kernel
def _fill_members(features, lists, halves, half_sizes, start, column, value):
    items, size = features.shape
    whole = size // _LANES * _LANES
    chunks = min(items, 64)
    for chunk in numba.prange(chunks):
        mark = np.zeros(items, dtype=np.int64)
        lanes = np.empty(_LANES, dtype=np.float32)
        for item in range(chunk * items // chunks, (chunk + 1) * items // chunks):
            low, high = start[item], start[item + 1]
            _members(lists, halves, half_sizes, item, mark, column[low:high])
            x = features[item]
            for entry in range(low, high):
                y = features[column[entry]]
                lanes[:] = 0
                for block in range(0, whole, _LANES):
                    for lane in range(_LANES):
                        difference = x[block + lane] - y[block + lane]
                        lanes[lane] += difference * difference
                distance = np.float32(0)
                for c in range(whole, size):
                    distance += (x[c] - y[c]) * (x[c] - y[c])
                for lane in range(_LANES):
                    distance += lanes[lane]
                value[entry] = distance


@kernel
def _weigh(start, distance, scale, value):
    for item in numba.prange(len(start) - 1):
        total = np.float32(0)
        # The nearest is the item itself, at 0, but for an item with many copies: the sum is never 0.
        nearest = np.float32(np.inf)
        for entry in range(start[item], start[item + 1]):
            nearest = min(nearest, distance[entry])
        for entry in range(start[item], start[item + 1]):
            value[entry] = np.exp(-(distance[entry] - nearest) / scale[item])
            total += value[entry]
        for entry in range(start[item], start[item + 1]):
            value[entry] /= total
