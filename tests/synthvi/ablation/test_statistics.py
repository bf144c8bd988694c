"""Means and paired intervals, against plain loops."""

import math

import numpy as np
import pytest

from synthvi.ablation.scores import Scores
from synthvi.ablation.statistics import mean_and_deviation, paired_difference


def scores(rank1, queries=None, pids=None):
    rank1 = np.asarray(rank1, dtype=float)
    queries = np.ones(len(rank1)) if queries is None else np.asarray(queries)
    pids = np.arange(len(rank1)) if pids is None else np.asarray(pids)
    return Scores(pids, queries, {"Rank-1": rank1, "mAP": rank1 / 2})


def test_the_deviation_is_that_of_a_sample():
    mean, deviation = mean_and_deviation([1.0, 2.0, 6.0])
    assert (mean, deviation) == (3.0, pytest.approx(math.sqrt((4 + 1 + 9) / 2)))
    assert mean_and_deviation([1.0]) == (1.0, None)


def test_the_difference_weighs_identities_by_their_queries():
    ours = [scores([50, 80], queries=[1, 3]), scores([30, 60], queries=[1, 3])]
    theirs = [scores([40, 90], queries=[1, 3]), scores([50, 20], queries=[1, 3])]
    gains = [(10 - 3 * 10) / 4, (-20 + 3 * 40) / 4]
    assert paired_difference(ours, theirs, "Rank-1").mean == pytest.approx(sum(gains) / 2)
    assert paired_difference(ours, theirs, "mAP").mean == pytest.approx(sum(gains) / 4)


def test_the_interval_is_that_of_a_bootstrap_in_plain_loops():
    draw = np.random.default_rng(3)
    queries = draw.integers(1, 5, 12)
    ours = [scores(draw.uniform(0, 100, 12), queries) for _ in range(4)]
    theirs = [scores(draw.uniform(0, 100, 12), queries) for _ in range(4)]
    means = []
    for _ in range(3000):
        seeds, identities = draw.integers(0, 4, 4), draw.integers(0, 12, 12)
        total = weight = 0.0
        for seed in seeds:
            for i in identities:
                gain = ours[seed].figures["Rank-1"][i] - theirs[seed].figures["Rank-1"][i]
                total, weight = total + queries[i] * gain, weight + queries[i]
        means.append(total / weight)
    found = paired_difference(ours, theirs, "Rank-1")
    low, high = np.percentile(means, [2.5, 97.5])
    tolerance = 0.08 * (high - low)
    assert found.low == pytest.approx(low, abs=tolerance)
    assert found.high == pytest.approx(high, abs=tolerance)


def test_what_both_share_does_not_widen_the_interval():
    hard = np.linspace(0, 90, 10)
    found = paired_difference([scores(hard + 5)] * 2, [scores(hard)] * 2, "Rank-1")
    assert (found.mean, found.low, found.high) == pytest.approx((5, 5, 5))


def test_other_identities_cannot_be_paired():
    with pytest.raises(ValueError, match="not of the same seeds and identities"):
        paired_difference([scores([1, 2])], [scores([1, 2], pids=[3, 4])], "Rank-1")
