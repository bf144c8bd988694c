"""Rank-k, mAP and mINP of a distance matrix."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.arrays import as_array, as_float, is_integer, labels, require_finite
from vireid.evaluation.rank_kernel import rank_matches

logger = logging.getLogger("fastreid.vireid.evaluation")

RANKS = (1, 5, 10, 20)
MOST_TIES = 0.01
METRICS = tuple(f"Rank-{k}" for k in RANKS) + ("mAP", "mINP")


@dataclass(frozen=True)
class RankMetrics:
    """Retrieval quality over all queries that have an allowed match; every figure in 0..1.

    Attributes:
        cmc: (max_rank,) float64, share of the queries matched within the first 1, 2, ... places.
        mAP: mean average precision.
        mINP: mean inverse negative penalty (Ye et al., TPAMI 2021): matches / rank of the last one.
        num_valid_queries: how many queries were counted: those with an allowed match.
        num_queries: how many there were.
        ties: share of the ranks of matches that the order of equal distances decides.
    """

    cmc: np.ndarray
    mAP: float
    mINP: float
    num_valid_queries: int
    num_queries: int = 0
    ties: float = 0.0

    def percent(self) -> dict[str, float]:
        """Rank-1, 5, 10, 20, mAP and mINP in percent."""
        rates = [self.cmc[min(k, len(self.cmc)) - 1] for k in RANKS] + [self.mAP, self.mINP]
        return {name: 100.0 * float(rate) for name, rate in zip(METRICS, rates)}


def rank_metrics(
    dist: Any,
    query_pids: Any,
    gallery_pids: Any,
    *,
    exclude: Any = None,
    unique_pids: bool = False,
    max_rank: int = 20,
) -> RankMetrics:
    """Score a distance matrix; arrays or tensors of any dtype.

    Equal distances go by gallery position, as in the published protocols, whose galleries are sorted by
    identity: where many are equal, figures are above those of chance. A warning says so above MOST_TIES.

    Args:
        dist: (Q, G), smaller is more alike.
        query_pids, gallery_pids: (Q,) and (G,) identities.
        exclude: (Q, G) bool, True where a gallery image is left out for a query.
        unique_pids: count each identity once in the CMC, at its best rank (SYSU-MM01, LLCM);
            mAP and mINP count images in any case.
        max_rank: length of the CMC.

    Raises:
        UserError: shapes that disagree, a distance that is not finite, no query with an allowed match.
    """
    if not is_integer(max_rank) or max_rank < 1:
        raise UserError(f"max_rank is {max_rank}; it must be at least 1")
    metrics = score_distances(dist, query_pids, gallery_pids, exclude, unique_pids, max_rank)
    warn_of_ties("these distances", metrics.ties)
    return metrics


def score_distances(
    dist: Any, query_pids: Any, gallery_pids: Any, exclude: Any, unique_pids: bool, max_rank: int = RANKS[-1]
) -> RankMetrics:
    """``rank_metrics`` without its warning."""
    dist, query_pids, gallery_pids, exclude = checked_distances(dist, query_pids, gallery_pids, exclude)
    place = np.arange(gallery_pids.size, dtype=np.int32)[:, None]
    figures = rank_matches(
        dist, query_pids, gallery_pids, None, None, exclude, place, np.array([unique_pids])
    )
    return summarize([figure[:, 0] for figure in figures], max_rank)


def warn_of_ties(where: str, share: float) -> None:
    """Log a warning where the order of equal distances decides more than MOST_TIES of the ranks."""
    if share > MOST_TIES:
        logger.warning(
            f"{where}: equal distances decide {100 * share:.0f} % of the ranks. They go by the order of the "
            "gallery, so that the figures are of that order, too"
        )


def checked_distances(
    dist: Any, query_pids: Any, gallery_pids: Any, exclude: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Distances, identities and pairs to leave out as arrays that fit each other.

    Raises:
        UserError: types or shapes that do not, a distance that is not finite.
    """
    dist = as_float(as_array(dist, "dist"))
    query_pids, gallery_pids = labels(query_pids, "query_pids"), labels(gallery_pids, "gallery_pids")
    if dist.ndim != 2 or dist.shape != (query_pids.size, gallery_pids.size):
        raise UserError(
            f"dist has shape {dist.shape}; {query_pids.size} query_pids and {gallery_pids.size} gallery_pids "
            f"need ({query_pids.size}, {gallery_pids.size})"
        )
    if exclude is not None:
        exclude = as_array(exclude, "exclude")
        if exclude.shape != dist.shape or exclude.dtype != bool:
            raise UserError(
                f"exclude has shape {exclude.shape} and type {exclude.dtype}; expected {dist.shape}, as "
                "dist, and True or False"
            )
    require_finite(dist, "dist")
    return dist, query_pids, gallery_pids, exclude


def summarize(figures: Sequence[np.ndarray], max_rank: int = RANKS[-1]) -> RankMetrics:
    """Average (Q,) best ranks (0: no allowed match), average precisions, negative penalties and ties."""
    best, ap, inp, ties = figures
    valid = best > 0
    count = int(valid.sum())
    if count == 0:
        raise UserError(
            f"none of the {best.size} queries has a match in the gallery that is not left out: check that "
            "queries and gallery hold the same identities"
        )
    hits = np.bincount(np.minimum(best[valid], max_rank + 1), minlength=max_rank + 2)[1 : max_rank + 1]
    mean_ap, mean_inp, mean_ties = (float(column[valid].mean()) for column in (ap, inp, ties))
    return RankMetrics(np.cumsum(hits) / count, mean_ap, mean_inp, count, best.size, mean_ties)
