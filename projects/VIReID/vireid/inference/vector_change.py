"""A change of a folder store's images: which files of vectors are written anew, and what the tables say."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vireid.inference.records import Entry
from vireid.inference.segments import (
    SEGMENT_ROWS,
    Segment,
    joined_tail,
    read_vectors,
    sync_folder,
    write_vectors,
)
from vireid.inference.tables import Tables


class VectorChange:
    """Within a transaction: images to remove, then images to append; ``write`` does both.

    Args:
        folder: of the store.
        tables: of the store, in a transaction.
        dimension: of the vectors.
        new_files: names of the files that it writes are appended here.
    """

    def __init__(self, folder: Path, tables: Tables, dimension: int, new_files: list[str]) -> None:
        self.folder, self.tables, self.dimension = folder, tables, dimension
        self.segments = {segment.number: segment for segment in tables.segments()}
        self.next_file: int = tables.about()["next_file"]
        self.new_files = new_files
        self.old_files: list[str] = []
        self.entries: Sequence[Entry] = ()
        self.vectors = np.empty((0, dimension), np.float32)

    def remove(self, positions: np.ndarray) -> None:
        """Remove images: the files that hold their vectors are written anew without them."""
        for segment in list(self.segments.values()):
            own = self.tables.segment_positions(segment.number) if len(positions) else positions
            gone = np.isin(own, positions)
            if gone.any():
                self._replace(segment, self._read(segment)[~gone])
        self.tables.remove(positions)

    def append(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """Add images after all others."""
        self.entries, self.vectors = entries, vectors

    def write(self) -> None:
        """Write the files, and change the tables within the transaction."""
        for first in range(0, len(self.entries), SEGMENT_ROWS):
            last = first + SEGMENT_ROWS
            self._append(self.entries[first:last], self.vectors[first:last])
        self.tables.set_about({"next_file": self.next_file})
        sync_folder(self.folder)

    def remove_old_files(self) -> None:
        """After the commit: what the change has replaced. Who has mapped a file keeps it."""
        for name in self.old_files:
            (self.folder / name).unlink(missing_ok=True)

    def _append(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """Write vectors as a new segment, together with the small segments before it."""
        ordered = sorted(self.segments.values(), key=lambda segment: segment.number)
        count = joined_tail(ordered, len(vectors))
        joined = ordered[len(ordered) - count :]
        number = ordered[-1].number + 1 if ordered else 1
        parts = [self._read(segment) for segment in joined]
        for segment in joined:
            self.tables.move(segment.number, number)
            self._drop(segment)
        self.tables.insert(entries, number)
        self._add(number, np.concatenate([*parts, vectors]))

    def _replace(self, segment: Segment, kept: np.ndarray) -> None:
        self._drop(segment)
        if len(kept):
            self._add(segment.number, kept)

    def _read(self, segment: Segment) -> np.ndarray:
        return read_vectors(self.folder, segment, self.dimension).rows()

    def _add(self, number: int, vectors: np.ndarray) -> None:
        segment = Segment(number, f"vectors-{self.next_file:08d}.npy", len(vectors))
        self.next_file += 1
        self.new_files.append(segment.file)
        write_vectors(self.folder / segment.file, vectors)
        self.segments[number] = segment
        self.tables.set_segment(segment)

    def _drop(self, segment: Segment) -> None:
        self.old_files.append(segment.file)
        del self.segments[segment.number]
        self.tables.drop_segment(segment.number)
