"""Approximate search: every vector as four bits for each four of its numbers, by faiss.

The codes of all vectors are scanned (faiss's fast scan of product quantization), and the best candidates are
scored again with the vectors themselves. A partition into cells, of which a query looks into some, finds too
little where queries lie apart from the gallery, as infrared ones do.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS_PER_CODE = 4
LEAST_ROWS = 16  # as many as a code has values
TRAINING_ROWS = 65_536
CANDIDATES = 1_000
DIGEST_BYTES = 16


class ApproximateIndex:
    """Codes of vectors, each known by a number of its own.

    Args:
        index: of faiss.
        dimension: of the vectors.
    """

    def __init__(self, index: Any, dimension: int) -> None:
        self.index, self.dimension = index, dimension

    @property
    def last(self) -> int:
        """The number of the vector that was added last."""
        return int(self.index.id_map.at(len(self) - 1))

    @classmethod
    def train(cls, vectors: np.ndarray) -> "ApproximateIndex":
        """An empty index for vectors that are like these (n, D)."""
        import faiss

        dimension = vectors.shape[1]
        codes = -(-dimension // NUMBERS_PER_CODE)
        quantizer = faiss.IndexPQFastScan(codes * NUMBERS_PER_CODE, codes, 4, faiss.METRIC_INNER_PRODUCT)
        quantizer.pq.cp.min_points_per_centroid = 1  # no warning where images are few
        self = cls(faiss.IndexIDMap(quantizer), dimension)
        self.index.train(self._padded(vectors))
        return self

    @classmethod
    def load(cls, path: Path, dimension: int) -> "ApproximateIndex":
        """Read a file of ``save``.

        Raises:
            OSError, ValueError: it is missing or damaged.
        """
        import faiss

        content = np.fromfile(path, np.uint8)
        codes, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if _digest(codes) != digest.tobytes():  # faiss may end the process on a damaged file
            raise ValueError(f"{path} is damaged")
        return cls(faiss.deserialize_index(codes), dimension)

    def save(self, path: Path) -> None:
        """Write the index, and a digest of it, to a file that is on the disk when this returns."""
        import faiss

        with open(path, "wb") as file:
            codes = faiss.serialize_index(self.index)
            file.write(codes.tobytes())
            file.write(_digest(codes))
            file.flush()
            os.fsync(file.fileno())

    def __len__(self) -> int:
        """Number of vectors."""
        return int(self.index.ntotal)

    def add(self, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Add vectors.

        Args:
            blocks: (n,) int64 numbers and (n, D) float32 vectors.
        """
        for numbers, vectors in blocks:
            self.index.add_with_ids(self._padded(vectors), numbers)

    def grown(self, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> "ApproximateIndex":
        """A copy with more vectors, by the same codes."""
        import faiss

        copy = ApproximateIndex(faiss.clone_index(self.index), self.dimension)
        copy.add(blocks)
        return copy

    def candidates(self, vectors: np.ndarray, count: int) -> list[np.ndarray]:
        """For each of (Q, D) vectors, the numbers of about the nearest ``count``, in no order."""
        found = self.index.search(self._padded(vectors), min(count, len(self)))[1]
        return [row[row >= 0] for row in found]

    def _padded(self, vectors: np.ndarray) -> np.ndarray:
        missing = -self.dimension % NUMBERS_PER_CODE
        vectors = np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors
        return np.ascontiguousarray(vectors, np.float32)


def _digest(codes: np.ndarray) -> bytes:
    return hashlib.blake2b(codes.data, digest_size=DIGEST_BYTES).digest()
