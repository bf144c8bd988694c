"""Multi-spectral enhanced ranking, MCJA's re-ranker (Liang et al., IEEE TCSVT 2024, section MSER).

The visible side is extracted once for each spectrum (the image, and each color channel alone), the
infrared side once. Every spectrum is re-ranked by k-reciprocal neighbours, and the distances are averaged.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vireid.errors import ConfigError, UserError
from vireid.evaluation.arrays import is_integer
from vireid.evaluation.features import stack_features
from vireid.evaluation.neighbours import lists_and_furthest, smallest_columns, squared_distance_blocks
from vireid.evaluation.reciprocal import neighbour_weights, reciprocal_sets
from vireid.evaluation.sparse_rows import SparseRows, jaccard_distance, mean_rows


def multi_spectral_rerank(
    queries: Sequence[Any],
    galleries: Sequence[Any],
    k1: int,
    k2: int,
    lambda_value: float,
    *,
    query_neighbours_only: bool,
    direction: str = "i2v",
) -> np.ndarray:
    """Re-rank one gallery; ``MultiSpectralReranker`` serves many galleries of the same queries.

    Args:
        queries, galleries: lists of (Q, D) and (G, D) arrays or tensors, L2-normalized by the caller;
            the infrared side has one, the visible side one for each spectrum.
        k1, k2, lambda_value, query_neighbours_only, direction: as of ``MultiSpectralReranker``.

    Returns:
        (Q, G) float32 distances.

    Raises:
        ConfigError, UserError: as ``MultiSpectralReranker``.
    """
    reranker = MultiSpectralReranker(
        queries, k1, k2, lambda_value, query_neighbours_only=query_neighbours_only, direction=direction
    )
    return reranker.rank(galleries)


class MultiSpectralReranker:
    """Re-ranks any number of galleries for one set of queries.

    With neighbours among the queries only, all that does not depend on the gallery is computed once.

    Args:
        queries: [(Q, D)] for infrared queries, one (Q, D) for each spectrum for visible ones; arrays or
            tensors, L2-normalized by the caller. On a GPU, distances are computed there.
        k1: reciprocal sets are made of the k1 + 1 nearest items, the item itself included.
        k2: nearest items whose sets are averaged.
        lambda_value: share of the original distance in the result, 0..1.
        query_neighbours_only: whether neighbours are sought among the queries (SYSU-MM01) or among
            queries and galleries (RegDB).
        direction: "i2v" for infrared queries and a visible gallery, "v2i" for the reverse.

    Raises:
        ConfigError: a parameter out of range, also when ``rank`` finds it too large for the gallery.
        UserError: features of a wrong shape or number of spectra, or not finite.
    """

    def __init__(
        self,
        queries: Sequence[Any],
        k1: int,
        k2: int,
        lambda_value: float,
        *,
        query_neighbours_only: bool,
        direction: str = "i2v",
    ) -> None:
        if direction not in ("i2v", "v2i"):
            raise ConfigError(f'direction is "{direction}"; it must be "i2v" or "v2i"')
        least = 2 if query_neighbours_only else 1
        if not (is_integer(k1) and is_integer(k2)) or k1 < 1 or not least <= k2 <= k1 + 1:
            raise ConfigError(
                f"k1 is {k1} and k2 {k2}; k1 must be at least 1, and k2 in {least}..k1 + 1"
                f"{' with neighbours among the queries only' if query_neighbours_only else ''}"
            )
        if not 0 <= lambda_value <= 1:
            raise ConfigError(f"lambda_value is {lambda_value}; it must be in 0..1")
        self.k1, self.k2, self.lambda_value = k1, k2, lambda_value
        self.query_neighbours_only, self.direction = query_neighbours_only, direction
        self._queries, self._num_queries, _ = _stack("queries", queries, infrared=direction == "i2v")
        if query_neighbours_only:
            self._require_items(len(self._queries), "queries")
            self._lists, self._furthest = lists_and_furthest(self._queries, k1 + 1)
            self._sets = reciprocal_sets(self._queries.cpu().numpy(), self._lists)

    def rank(self, galleries: Sequence[Any]) -> np.ndarray:
        """Distances (Q, G) float32.

        Args:
            galleries: one (G, D) for each spectrum for infrared queries, [(G, D)] for visible ones.
        """
        gallery, size, spectra = _stack("galleries", galleries, infrared=self.direction == "v2i")
        if gallery.shape[1] != self._queries.shape[1]:
            raise UserError(
                f"queries have {self._queries.shape[1]} dimensions, galleries {gallery.shape[1]}: "
                "they must be the same"
            )
        gallery = gallery.to(self._queries.device)
        if self.query_neighbours_only:
            left, right, furthest = self._among_queries(gallery)
            columns = len(self._queries)
        else:
            left, right, furthest = self._among_all(gallery)
            columns = len(self._queries) + len(gallery)
        spectra = max(spectra, len(self._queries) // self._num_queries)
        result = np.zeros((self._num_queries, size), dtype=np.float32)
        for spectrum in range(spectra):
            own = self._part(len(self._queries), self._num_queries, spectrum)
            other = self._part(len(gallery), size, spectrum)
            jaccard = jaccard_distance(left[own], right[other], columns)
            scale = self.lambda_value / furthest[own]
            for rows, dist in squared_distance_blocks(self._queries[own], gallery[other]):
                jaccard[rows] *= 1 - self.lambda_value
                jaccard[rows] += dist.cpu().numpy() * scale[rows, None]
            result += jaccard
        result /= spectra
        return result

    def _among_queries(self, gallery: torch.Tensor) -> tuple[SparseRows, SparseRows, np.ndarray]:
        """Encoded queries and gallery, and each query's greatest distance to any item."""
        furthest = torch.from_numpy(self._furthest).to(gallery.device)
        members = np.empty((len(gallery), self.k2), dtype=np.int32)
        for rows, dist in squared_distance_blocks(gallery, self._queries):
            furthest = torch.maximum(furthest, dist.amax(dim=0))
            members[rows] = smallest_columns(dist, self.k2)
        scale = furthest.cpu().numpy()
        weights = neighbour_weights(self._sets, scale)
        left = mean_rows(weights, self._lists[:, : self.k2], len(self._queries))
        return left, mean_rows(weights, members, len(self._queries)), scale

    def _among_all(self, gallery: torch.Tensor) -> tuple[SparseRows, SparseRows, np.ndarray]:
        items = torch.cat([self._queries, gallery])
        self._require_items(len(items), "queries and galleries")
        lists, furthest = lists_and_furthest(items, self.k1 + 1)
        weights = neighbour_weights(reciprocal_sets(items.cpu().numpy(), lists), furthest)
        encoded = mean_rows(weights, lists[:, : self.k2], len(items))
        count = len(self._queries)
        return encoded[:count], encoded[count:], furthest[:count]

    def _require_items(self, found: int, name: str) -> None:
        if self.k1 + 1 > found:
            raise ConfigError(
                f"k1 is {self.k1}, but the {name} are {found} images in all: k1 + 1 must be at most {found}"
            )

    @staticmethod
    def _part(stacked: int, size: int, spectrum: int) -> slice:
        """The rows of one spectrum; the infrared side has the same rows for all."""
        first = spectrum * size if stacked > size else 0
        return slice(first, first + size)


def _stack(name: str, parts: Sequence[Any], *, infrared: bool) -> tuple[torch.Tensor, int, int]:
    """All spectra of one side below one another, rows of one spectrum, and the number of spectra."""
    if infrared and len(parts) != 1:
        raise UserError(f"{name} holds {len(parts)} feature sets; the infrared side has one, in a list")
    if len(parts) == 0:
        raise UserError(f"{name} is empty; the visible side has one feature set for each spectrum, in a list")
    stacked, sizes = stack_features({f"{name}[{i}]": part for i, part in enumerate(parts)})
    if len(set(sizes)) > 1 or sizes[0] == 0:
        raise UserError(f"{name} hold {sizes} images; each spectrum must have the same ones, at least one")
    return stacked, sizes[0], len(sizes)
