"""Means over seeds, and paired differences with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthvi.ablation.scores import Scores

RESAMPLES = 4000
LEVEL = 95  # percent


@dataclass(frozen=True)
class Difference:
    """A paired difference of a figure, in points, and its interval of LEVEL percent."""

    mean: float
    low: float
    high: float


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Compute mean and sample standard deviation; None for that of one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def paired_difference(ours: Sequence[Scores], theirs: Sequence[Scores], figure: str) -> Difference:
    """Compute how much better ``ours`` is, by pairs of the same seed and the same identities.

    The interval is that of a bootstrap: seeds and identities are drawn with replacement, apart from each
    other, RESAMPLES times, and percentiles of the mean difference are taken. With one seed it is the interval
    over the identities alone, and too narrow.

    Args:
        ours, theirs: the scores of each seed, in one order.
        figure: "Rank-1" or "mAP".

    Raises:
        ValueError: not the same seeds or identities.
    """
    if len(ours) != len(theirs) or any(list(a.pids) != list(b.pids) for a, b in zip(ours, theirs)):
        raise ValueError("the scores are not of the same seeds and identities")
    weights = ours[0].queries
    gains = np.array([a.figures[figure] - b.figures[figure] for a, b in zip(ours, theirs)])
    mean = float(np.average(gains.mean(axis=0), weights=weights))
    draw = np.random.default_rng(0)
    seeds, identities = gains.shape
    # How often each seed and each identity is drawn; a mean of a resample is then a product of counts.
    of_seeds = draw.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)
    of_identities = draw.multinomial(identities, np.full(identities, 1 / identities), RESAMPLES) * weights
    sums = np.einsum("rs,si,ri->r", of_seeds, gains, of_identities, optimize=True)
    means = sums / seeds / of_identities.sum(axis=1)
    low, high = np.percentile(means, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Difference(mean, float(low), float(high))
