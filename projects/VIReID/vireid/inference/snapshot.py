"""A folder store as it is at one moment: vectors, their positions, and the search among them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vireid.inference.approximate import CANDIDATES, LEAST_ROWS, TRAINING_ROWS, ApproximateIndex
from vireid.inference.records import Where
from vireid.inference.segments import SegmentVectors

logger = logging.getLogger("fastreid.vireid.inference")

ROWS_AT_ONCE = 65_536
QUERIES_AT_ONCE = 64
CONDITIONS = 8  # whose rows are kept
# Of the candidates of an approximate search, those that a condition leaves out are lost: as many more are
# asked for, up to this number.
MOST_CANDIDATES = 10_000
# Where fewer than these are left, the search is exact.
FEWEST_CANDIDATES = CANDIDATES // 4
# Images that are not among the codes yet are searched exactly; more than these are added to the codes.
NEWEST, NEWEST_SHARE = 10_000, 0.01


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a search needs.

    Attributes:
        version: of the tables.
        positions: (N,) int64, ascending: of each image.
        vectors: of consecutive images, together N rows.
        index: of the first of them, or None.
        exact_up_to: images up to which a search is exact.
        kept_rows: rows of the conditions that were asked for last.
    """

    version: int
    positions: np.ndarray
    vectors: Sequence[SegmentVectors]
    index: ApproximateIndex | None
    exact_up_to: int
    kept_rows: dict[Where, np.ndarray] = field(default_factory=dict)

    def rows_where(self, where: Where, positions: Callable[[Where], np.ndarray]) -> np.ndarray:
        """(n,) ascending rows of the images that meet a condition.

        Args:
            positions: asks the tables for them, where it was not asked for lately.
        """
        if where not in self.kept_rows:
            if len(self.kept_rows) == CONDITIONS:
                self.kept_rows.pop(next(iter(self.kept_rows)))
            self.kept_rows[where] = np.searchsorted(self.positions, positions(where))
        return self.kept_rows[where]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.positions)

    def nearest(
        self, queries: np.ndarray, top: int, rows: np.ndarray | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each query, positions and scores of the nearest images, best first.

        Args:
            queries: (Q, D).
            top: how many.
            rows: (n,), ascending, among which is searched; None: all.
        """
        searched = len(self) if rows is None else len(rows)
        approximate = self.index is not None and searched > self.exact_up_to
        for first in range(0, len(queries), QUERIES_AT_ONCE):
            some = queries[first : first + QUERIES_AT_ONCE]
            found = self._approximate(some, top, rows) if approximate else self._exact(some, top, rows)
            for some_rows, scores in found:
                yield self.positions[some_rows], scores

    def rows_of(self, rows: np.ndarray) -> np.ndarray:
        """(n, D): the vectors of ascending rows."""
        starts = np.cumsum([0, *map(len, self.vectors)])
        bounds = np.searchsorted(rows, starts)
        parts = [
            part.rows(rows[first:last] - start)
            for part, start, first, last in zip(self.vectors, starts, bounds, bounds[1:])
            if last > first
        ]
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    def blocks(self, first: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions and vectors of all images from a row on, some thousand at a time."""
        for start in range(first, len(self), ROWS_AT_ONCE):
            rows = np.arange(start, min(start + ROWS_AT_ONCE, len(self)))
            yield self.positions[rows], self.rows_of(rows)

    def _exact(
        self, queries: np.ndarray, top: int, rows: np.ndarray | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        best = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        for block_rows, vectors in self._parts(rows):
            scores = vectors @ queries.T
            for number, (found, values) in enumerate(best):
                joined = np.concatenate([found, block_rows]), np.concatenate([values, scores[:, number]])
                best[number] = highest(*joined, top)
        return best

    def _parts(self, rows: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and vectors of each file; of ``rows``, those that are in it."""
        if rows is not None:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                some = rows[start : start + ROWS_AT_ONCE]
                yield some, self.rows_of(some)
            return
        start = 0
        for part in self.vectors:
            yield np.arange(start, start + len(part)), part.rows()
            start += len(part)

    def _approximate(
        self, queries: np.ndarray, top: int, rows: np.ndarray | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        assert self.index is not None
        searched = len(self) if rows is None else len(rows)
        wanted = max(CANDIDATES, 20 * top)
        count = min(wanted * len(self) // searched, max(MOST_CANDIDATES, wanted))
        # A condition may leave out more than its share of the candidates: most of what is near an infrared
        # query is infrared.
        least = min(FEWEST_CANDIDATES, count * searched // len(self) // 2)
        # The newest images are not in the index yet.
        newest = np.arange(np.searchsorted(self.positions, self.index.last, side="right"), len(self))
        if rows is not None:
            newest = _within(newest, rows)
        found = []
        for query, candidates in zip(queries, self.index.candidates(queries, count)):
            own = self._present_rows(candidates)
            if rows is not None:
                own = _within(own, rows)
            few = len(own) < least
            own = np.concatenate([own, newest])
            if few or len(own) < min(top, searched):  # the condition has left out too many
                found += self._exact(query[None], top, rows)
            else:
                # Not a matrix product: its threads would wait for each other longer than they compute.
                scores = np.einsum("nd,d->n", self.rows_of(own), query)
                found.append(highest(own, scores, top))
        return found

    def _present_rows(self, positions: np.ndarray) -> np.ndarray:
        """Ascending rows of those of the positions that were not deleted."""
        positions = np.sort(positions)
        rows = np.searchsorted(self.positions, positions)
        rows, positions = rows[rows < len(self)], positions[rows < len(self)]
        return rows[self.positions[rows] == positions]


def _within(own: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of the ascending rows ``own`` that are among the ascending ``rows``, which are not empty."""
    return own[rows[np.minimum(np.searchsorted(rows, own), len(rows) - 1)] == own]


def highest(rows: np.ndarray, scores: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``top`` rows of the highest scores, best first, ties by row."""
    if len(scores) > top:
        least = np.partition(scores, len(scores) - top)[len(scores) - top]
        kept = np.flatnonzero(scores >= least)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:top]
    return rows[order], scores[order]


def grown_codes(snapshot: Snapshot, trained: int) -> tuple[ApproximateIndex | None, int]:
    """Codes of all images: those that there are, grown, or new ones; None where there are few images.

    Args:
        trained: how many images there were when the codes were made.

    Returns:
        The codes, and that number for them.
    """
    if len(snapshot) <= max(snapshot.exact_up_to, LEAST_ROWS):
        return None, 0
    index = snapshot.index
    if index is not None and len(snapshot) <= 2 * trained:
        known = int(np.searchsorted(snapshot.positions, index.last, side="right"))
        if known == len(index):  # otherwise some were deleted
            newest = len(snapshot) - known
            few = newest <= max(NEWEST, NEWEST_SHARE * len(snapshot))
            return (index if few else index.grown(snapshot.blocks(known))), trained
    logger.info("making codes of %d images for approximate search", len(snapshot))
    chosen = np.random.default_rng(0).permutation(len(snapshot))[:TRAINING_ROWS]
    index = ApproximateIndex.train(snapshot.rows_of(np.sort(chosen)))
    index.add(snapshot.blocks())
    return index, len(snapshot)
