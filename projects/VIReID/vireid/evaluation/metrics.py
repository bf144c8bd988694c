"""Rank-k, mAP and mINP of a distance matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vireid.errors import UserError
from vireid.evaluation.rank_kernel import rank_matches

RANKS = (1, 5, 10, 20)
METRICS = tuple(f"Rank-{k}" for k in RANKS) + ("mAP", "mINP")


@dataclass(frozen=True)
class RankMetrics:
    """Retrieval quality over all queries that have an allowed match; every figure in 0..1.

    Attributes:
        cmc: (max_rank,) float64, share of the queries matched within the first 1, 2, ... places.
        mAP: mean average precision.
        mINP: mean inverse negative penalty (Ye et al., TPAMI 2021): matches / rank of the last one.
        num_valid_queries: how many queries were counted.
    """

    cmc: np.ndarray
    mAP: float
    mINP: float
    num_valid_queries: int

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
    """Score a distance matrix; arrays or tensors of any dtype, equal distances go by gallery position.

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
    dist, query_pids, gallery_pids = as_array(dist), as_array(query_pids), as_array(gallery_pids)
    exclude = None if exclude is None else as_array(exclude)
    if dist.ndim != 2 or dist.shape != (query_pids.size, gallery_pids.size):
        raise UserError(
            f"dist has shape {dist.shape}; {query_pids.size} query_pids and {gallery_pids.size} gallery_pids "
            f"need ({query_pids.size}, {gallery_pids.size})"
        )
    if exclude is not None and exclude.shape != dist.shape:
        raise UserError(f"exclude has shape {exclude.shape}, dist {dist.shape}: they must be the same")
    if max_rank < 1:
        raise UserError(f"max_rank is {max_rank}; it must be at least 1")
    dist = as_float(dist)
    require_finite(dist, "dist")
    place = np.arange(gallery_pids.size, dtype=np.int32)[:, None]
    best, ap, inp = rank_matches(
        dist, query_pids.ravel(), gallery_pids.ravel(), None, None, exclude, place, np.array([unique_pids])
    )
    return summarize(best[:, 0], ap[:, 0], inp[:, 0], max_rank)


def summarize(best: np.ndarray, ap: np.ndarray, inp: np.ndarray, max_rank: int = RANKS[-1]) -> RankMetrics:
    """Average (Q,) best ranks (0: no allowed match), average precisions and negative penalties."""
    valid = best > 0
    count = int(valid.sum())
    if count == 0:
        raise UserError(
            f"none of the {best.size} queries has a match in the gallery that is not left out: check that "
            "queries and gallery hold the same identities"
        )
    hits = np.bincount(np.minimum(best[valid], max_rank + 1), minlength=max_rank + 2)[1 : max_rank + 1]
    return RankMetrics(np.cumsum(hits) / count, float(ap[valid].mean()), float(inp[valid].mean()), count)


def as_array(values: Any) -> np.ndarray:
    """A NumPy array of an array, sequence or tensor on any device."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return values.float().numpy() if values.dtype == torch.bfloat16 else values.numpy()
    return np.asarray(values)


def as_float(values: np.ndarray) -> np.ndarray:
    """float64 and float32 as they are, float16 as float32, anything else as float64."""
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def require_finite(values: np.ndarray, name: str) -> None:
    """Raise UserError with the number of NaN and infinite entries and where the first ones are."""
    total = float(values.sum(dtype=np.float64)) if values.size else 0.0
    if np.isfinite(total):  # one pass without a mask: any NaN or infinity would have reached the sum
        return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad) == 0:
        return
    shown = ", ".join(str(tuple(int(i) for i in where)) for where in bad[:5])
    raise UserError(
        f"{name} holds {len(bad)} values that are NaN or infinite, the first at {shown}: "
        "nothing can be ranked by them"
    )
