"""k-reciprocal encoding (Zhong et al., CVPR 2017) in sparse rows: memory grows with items x neighbours.

From neighbour lists to the Jaccard distance: reciprocal sets, weights, mean over neighbours, sums of
minima. A re-ranker chooses list lengths, expansion and scale.
"""

from dataclasses import dataclass

import numba
import numpy as np

from vireid.evaluation.compiled import inner, kernel

_LANES = 16


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of which few values are not zero.

    Attributes:
        start: (N + 1,) int64, row i is at start[i] .. start[i + 1] of the other two.
        column: int32.
        value: float32.
    """

    start: np.ndarray
    column: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, rows: slice) -> "SparseRows":
        first, last, _ = rows.indices(len(self))
        low, high = self.start[first], self.start[last]
        return SparseRows(self.start[first : last + 1] - low, self.column[low:high], self.value[low:high])


def reciprocal_sets(features: np.ndarray, lists: np.ndarray, half: int = 0) -> SparseRows:
    """The k-reciprocal neighbours of each item, with their squared Euclidean distances.

    Args:
        features: (N, D) float32.
        lists: (N, K) int32, each item's neighbours, nearest first, itself among them; -1 is none.
        half: length of the lists by which sets are expanded: the reciprocal set of a neighbour, over
            the first ``half`` entries, is added where more than 2/3 of it is in the item's set. 0: none.
    """
    halves, half_sizes = _half_sets(lists, half)
    counts = _count_members(lists, halves, half_sizes)
    start = np.concatenate([[0], np.cumsum(counts)])
    column = np.empty(start[-1], dtype=np.int32)
    value = np.empty(start[-1], dtype=np.float32)
    _fill_members(features, lists, halves, half_sizes, start, column, value)
    return SparseRows(start, column, value)


def neighbour_weights(sets: SparseRows, scale: np.ndarray | None = None) -> SparseRows:
    """exp(-distance / scale) of each row's members, divided by the row's sum; scale (N,), or None for 1."""
    scale = np.ones(len(sets), dtype=np.float32) if scale is None else scale.astype(np.float32)
    value = np.empty_like(sets.value)
    _weigh(sets.start, sets.value, scale, value)
    return SparseRows(sets.start, sets.column, value)


def mean_rows(rows: SparseRows, members: np.ndarray, columns: int) -> SparseRows:
    """Row i of the result is the mean of ``rows`` over members[i]; members (M, k) int32, -1 is none."""
    counts = _count_union(rows.start, rows.column, members, columns)
    start = np.concatenate([[0], np.cumsum(counts)])
    column = np.empty(start[-1], dtype=np.int32)
    value = np.empty(start[-1], dtype=np.float32)
    _fill_mean(rows.start, rows.column, rows.value, members, columns, start, column, value)
    return SparseRows(start, column, value)


def jaccard_distance(left: SparseRows, right: SparseRows, columns: int) -> np.ndarray:
    """(L, R) float32: 1 - sum(min) / sum(max) of each two rows, for rows that sum to one; not below 0."""
    start, row, value = _by_column(right, columns)
    result = np.zeros((len(left), len(right)), dtype=np.float32)
    _jaccard(left.start, left.column, left.value, start, row, value, result)
    return result


def _by_column(rows: SparseRows, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(rows.column, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(rows.column, minlength=columns))]).astype(np.int64)
    row_of = np.repeat(np.arange(len(rows), dtype=np.int32), np.diff(rows.start))
    return start, row_of[order], rows.value[order]


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
        for entry in range(start[item], start[item + 1]):
            value[entry] = np.exp(-distance[entry] / scale[item])
            total += value[entry]
        for entry in range(start[item], start[item + 1]):
            value[entry] /= total


@kernel
def _count_union(start, column, members, columns):
    items = members.shape[0]
    counts = np.zeros(items, dtype=np.int64)
    chunks = min(items, 64)
    for chunk in numba.prange(chunks):
        mark = np.full(columns, -1, dtype=np.int64)
        for item in range(chunk * items // chunks, (chunk + 1) * items // chunks):
            count = 0
            for a in range(members.shape[1]):
                member = members[item, a]
                if member < 0:
                    continue
                for entry in range(start[member], start[member + 1]):
                    if mark[column[entry]] != item:
                        mark[column[entry]] = item
                        count += 1
            counts[item] = count
    return counts


@kernel
def _fill_mean(start, column, value, members, columns, mean_start, mean_column, mean_value):
    items = members.shape[0]
    chunks = min(items, 64)
    for chunk in numba.prange(chunks):
        slot = np.full(columns, -1, dtype=np.int64)  # where a column of the current row is kept
        for item in range(chunk * items // chunks, (chunk + 1) * items // chunks):
            low = mean_start[item]
            end = low
            present = 0
            for a in range(members.shape[1]):
                member = members[item, a]
                if member < 0:
                    continue
                present += 1
                for entry in range(start[member], start[member + 1]):
                    c = column[entry]
                    at = slot[c]
                    # Slots of earlier rows lie below this row's.
                    if at < low:
                        slot[c] = end
                        mean_column[end] = c
                        mean_value[end] = value[entry]
                        end += 1
                    else:
                        mean_value[at] += value[entry]
            for entry in range(low, end):
                mean_value[entry] /= present


@kernel
def _jaccard(left_start, left_column, left_value, start, row, value, result):
    for item in numba.prange(result.shape[0]):
        shared = result[item]
        for entry in range(left_start[item], left_start[item + 1]):
            c = left_column[entry]
            own = left_value[entry]
            for other in range(start[c], start[c + 1]):
                shared[row[other]] += min(own, value[other])
        for other in range(result.shape[1]):
            total = shared[other]
            distance = np.float32(1) - total / (np.float32(2) - total)
            shared[other] = max(distance, np.float32(0))
