"""Vectors on disk: files of many rows that are written once and never changed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vireid.errors import StoreError

SEGMENT_ROWS = 131_072


@dataclass(frozen=True)
class Segment:
    """A file of vectors, one for each image that the table gives to it, in the order of their positions."""

    number: int
    file: str
    rows: int


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write (N, D) float32 as a NumPy file that is on the disk when this returns."""
    with open(path, "wb") as file:
        np.save(file, np.ascontiguousarray(vectors, np.float32))
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk know the names of new files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_vectors(folder: Path, segment: Segment, dimension: int) -> np.ndarray:
    """The (rows, D) float32 of a segment, mapped from the disk.

    Raises:
        StoreError: the file is missing or has another size than the table says.
    """
    path = folder / segment.file
    try:
        vectors = np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(damaged(folder, f"{segment.file} cannot be read: {reason}")) from None
    if vectors.shape != (segment.rows, dimension) or vectors.dtype != np.float32:
        expected = f"expected {segment.rows} x {dimension} of float32"
        raise StoreError(
            damaged(folder, f"{segment.file} holds {vectors.shape} of {vectors.dtype}, {expected}")
        )
    return vectors


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
