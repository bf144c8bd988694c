"""Open-set rates in plain loops, and what they need."""

import random

import numpy as np
import pytest

from vireid.errors import UserError
from vireid.evaluation.open_set import open_set_rates, open_set_trial, operating_points, queries_needed
from vireid.evaluation.trials import Trial


def plain_rates(dist, query_pids, gallery_pids, exclude, rate):
    """Every score as a threshold: (lowest one whose false alarms are few enough, false alarms, detected)."""
    known, unknown = [], []
    for q, pid in enumerate(query_pids):
        allowed = [g for g in range(len(gallery_pids)) if not exclude[q, g]]
        first = min(allowed, key=lambda g: (dist[q, g], g))
        score = -dist[q, first]
        if pid not in gallery_pids:
            unknown.append(score)
        elif any(gallery_pids[g] == pid for g in allowed):
            known.append((score, gallery_pids[first] == pid))
    for threshold in sorted(unknown):
        alarms = sum(score > threshold for score in unknown) / len(unknown)
        if alarms <= rate:
            detected = sum(right and score > threshold for score, right in known) / len(known)
            return threshold, alarms, detected
    raise AssertionError


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rounded", [False, True])
def test_rates_equal_a_plain_loop(seed, rounded):
    rng = np.random.default_rng(seed)
    query_pids, gallery_pids = rng.integers(0, 12, 120), rng.integers(0, 6, 40)
    dist = rng.random((120, 40)) - 0.3 * (query_pids[:, None] == gallery_pids)
    dist = dist.round(1) if rounded else dist  # many equal distances
    exclude = rng.random((120, 40)) < 0.3
    exclude[0] = query_pids[0] == gallery_pids  # a person whose images are all left out
    rates = (0.02, 0.05, 0.1, 0.5)
    found = open_set_rates(dist, query_pids, gallery_pids, exclude=exclude, false_alarms=rates)
    for rate, point in zip(rates, found):
        expected = plain_rates(dist, query_pids.tolist(), gallery_pids.tolist(), exclude, rate)
        assert (point.threshold, point.false_alarms, point.detected) == pytest.approx(expected)
        assert point.asked == rate >= point.false_alarms
    assert [point.detected for point in found] == sorted(point.detected for point in found)


def test_a_perfect_search_finds_everyone_and_a_blind_one_nobody():
    pids = np.arange(40)
    dist = (pids[:, None] != pids[:20]).astype(float)
    (point,) = open_set_rates(dist, pids, pids[:20], false_alarms=(0.05,))
    assert (point.threshold, point.false_alarms, point.detected) == (-1.0, 0.0, 1.0)
    (point,) = open_set_rates(np.zeros((40, 20)), pids, pids[:20], false_alarms=(0.05,))
    assert (point.false_alarms, point.detected) == (0.0, 0.0)  # all scores are alike: no threshold parts them


def test_too_few_queries_of_unknown_persons_say_how_many_are_needed():
    best, right = [0.9, 0.8], [True, True]
    with pytest.raises(
        UserError, match="rate of 1 % needs 100 queries of persons who are not .* there are 99"
    ):
        operating_points(best, right, np.zeros(99), (0.05, 0.01))
    assert len(operating_points(best, right, np.zeros(100), (0.05, 0.01))) == 2
    assert [queries_needed(rate) for rate in (0.01, 0.05, 0.1, 0.3, 0.7)] == [100, 20, 10, 4, 2]
    for rate in (0, 1, -0.1, 5):
        with pytest.raises(UserError, match="expected one above 0 and below 1, such as 0.05"):
            queries_needed(rate)
    with pytest.raises(UserError, match="0 scores and 0 answers of known persons"):
        operating_points([], [], np.zeros(100))
    with pytest.raises(UserError, match="the gallery is empty"):
        open_set_rates(np.zeros((2, 0)), [1, 2], [])


def test_half_of_the_persons_leave_the_gallery_by_the_seed_alone():
    pids = np.repeat(np.arange(9), 4)  # 0..8; 8 is in the gallery alone, 7 among the queries alone
    query = np.flatnonzero(pids < 8)[::2]
    gallery = np.flatnonzero(pids != 7)[1::2]
    trial = Trial(query, gallery, pids[query], pids[gallery] + 100)
    for seed in range(3):
        found = open_set_trial(trial, pids, seed)
        unknown = set(random.Random(seed).sample(range(7), 3))
        assert (found.query == query).all() and (found.query_keys == pids[query]).all()
        assert found.gallery.tolist() == [position for position in gallery if pids[position] not in unknown]
        assert (found.gallery_keys == pids[found.gallery] + 100).all()
    with pytest.raises(UserError, match="two persons in queries and gallery; there are 1"):
        open_set_trial(Trial(query[:2], gallery), pids, 0)
