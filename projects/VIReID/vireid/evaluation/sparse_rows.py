"""Sparse rows of weights: their means over neighbours, and the Jaccard distances between them."""

from dataclasses import dataclass

import numba
import numpy as np

from vireid.evaluation.arrays import require_positions
from vireid.numba_loops import kernel


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


def mean_rows(rows: SparseRows, members: np.ndarray, columns: int) -> SparseRows:
    """Means of some rows.

    Args:
        rows: N of them.
        members: (M, k) int32, which rows the i-th mean is of; -1 is none.
        columns: width of the rows.

    Returns:
        M rows.
    """
    require_positions(members, len(rows), "members")
    require_positions(rows.column, columns, "columns")
    counts = _count_union(rows.start, rows.column, members, columns)
    start = np.concatenate([[0], np.cumsum(counts)])
    column = np.empty(start[-1], dtype=np.int32)
    value = np.empty(start[-1], dtype=np.float32)
    _fill_mean(rows.start, rows.column, rows.value, members, columns, start, column, value)
    return SparseRows(start, column, value)


def jaccard_distance(left: SparseRows, right: SparseRows, columns: int) -> np.ndarray:
    """Jaccard distance of each two rows: 1 - sum of minima / sum of maxima, not below 0.

    Args:
        left, right: L and R rows, each of which sums to one.
        columns: width of the rows.

    Returns:
        (L, R) float32.
    """
    for name, rows in (("left", left), ("right", right)):
        require_positions(rows.column, columns, f"columns of {name}")
    start, row, value = _by_column(right, columns)
    result = np.zeros((len(left), len(right)), dtype=np.float32)
    _jaccard(left.start, left.column, left.value, start, row, value, result)
    return result


def _by_column(rows: SparseRows, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(rows.column, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(rows.column, minlength=columns))]).astype(np.int64)
    row_of = np.repeat(np.arange(len(rows), dtype=np.int32), np.diff(rows.start))
    return start, row_of[order], rows.value[order]


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
