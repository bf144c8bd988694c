"""Vectors on disk: files of many rows that are written once and never changed.

A file is one of NumPy's, and after it the sum of each row, by which a row is checked when it is first read.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vireid.errors import StoreError

logger = logging.getLogger("fastreid.vireid.inference")

SEGMENT_ROWS = 131_072


@dataclass(frozen=True)
class Segment:
    """A file of vectors, one for each image that the table gives to it, in the order of their positions."""

    number: int
    file: str
    rows: int


class SegmentVectors:
    """The vectors of a segment, mapped from the disk.

    Args:
        values: (rows, D) float32.
        sums: (rows,) uint32, see ``row_sums``; None where the file has none.
        fault: what is raised where a row has another sum.
    """

    def __init__(self, values: np.ndarray, sums: np.ndarray | None, fault: str) -> None:
        self.values, self.sums, self.fault = values, sums, fault
        self._checked = np.full(len(values), sums is None)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.values)

    def rows(self, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(n, D) float32.

        Raises:
            StoreError: they are not what was written.
        """
        found = self.values[chosen]
        if self.sums is not None and not self._checked[chosen].all():
            if not np.array_equal(row_sums(found), self.sums[chosen]):
                raise StoreError(self.fault)
            self._checked[chosen] = True
        return found


def row_sums(vectors: np.ndarray) -> np.ndarray:
    """(N,) uint32 of (N, D) float32: the bits of a row's numbers, combined by exclusive or, which takes no
    longer than to read them."""
    words = np.ascontiguousarray(vectors, np.float32).view(np.uint32)
    return np.bitwise_xor.reduce(words, axis=1)


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write (N, D) float32 and their sums to a file that is on the disk when this returns."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    with open(path, "wb") as file:
        np.save(file, vectors)
        file.write(row_sums(vectors).tobytes())
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk know the names of new files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_vectors(folder: Path, segment: Segment, dimension: int) -> SegmentVectors:
    """The vectors of a segment.

    Raises:
        StoreError: the file is missing or has another size than the table says.
    """
    path = folder / segment.file
    try:
        vectors = np.load(path, mmap_mode="r")
        with open(path, "rb") as file:
            file.seek(vectors.offset + vectors.nbytes)
            sums = np.frombuffer(file.read(), np.uint32)
    except Exception as error:  # NumPy raises a dozen kinds for a header that is damaged
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise StoreError(damaged(folder, f"{segment.file} cannot be read: {reason}")) from None
    if vectors.shape != (segment.rows, dimension) or vectors.dtype != np.float32:
        expected = f"expected {segment.rows} x {dimension} of float32"
        raise StoreError(
            damaged(folder, f"{segment.file} holds {vectors.shape} of {vectors.dtype}, {expected}")
        )
    if len(sums) not in (0, segment.rows):
        raise StoreError(damaged(folder, f"{segment.file} has {len(sums)} sums of {segment.rows} vectors"))
    if not len(sums):
        logger.info(f"{path} has no sums: that its vectors are what was written cannot be checked")
    fault = damaged(folder, f"{segment.file} holds vectors that are not what was written: their sums differ")
    return SegmentVectors(np.asarray(vectors), sums if len(sums) else None, fault)


def damaged(folder: Path, what: str) -> str:
    """The message of a store that cannot be used any more."""
    return f"{folder} is damaged ({what}); restore it from a copy, or delete it and index the gallery again"


def joined_tail(segments: Sequence[Segment], rows: int) -> int:
    """How many of the last segments are written again together with ``rows`` new vectors.

    A segment is joined with as many or more rows after it, so that there are few small ones, and a row is
    written again as often as the logarithm of their number.
    """
    count = 0
    for segment in reversed(segments):
        if segment.rows > rows or segment.rows + rows > SEGMENT_ROWS:
            break
        rows += segment.rows
        count += 1
    return count
