import numpy as np
import pytest
from sklearn.metrics import roc_curve

from vireid.errors import UserError
from vireid.evaluation.roc import verification_rates


def plain_rates(dist, query_pids, gallery_pids, exclude, false_rate):
    """On Python lists: of the thresholds that accept few enough mismatched pairs, the one that accepts most
    matched ones."""
    matched, mismatched = [], []
    for q, row in enumerate(dist):
        for g, distance in enumerate(row):
            if not exclude[q, g]:
                (matched if query_pids[q] == gallery_pids[g] else mismatched).append(distance)
    shares = []
    for threshold in [*matched, *mismatched, 9.0]:
        if sum(distance < threshold for distance in mismatched) <= false_rate * len(mismatched):
            shares.append(sum(distance < threshold for distance in matched) / len(matched))
    return max(shares)


@pytest.mark.parametrize("seed", range(3))
def test_rates_are_those_of_plain_lists_and_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    query_pids, gallery_pids = rng.integers(0, 5, 20), rng.integers(0, 5, 30)
    dist = rng.integers(0, 40, (20, 30)) / 40 + 0.5 * (query_pids[:, None] != gallery_pids)  # with ties
    exclude = rng.random((20, 30)) < 0.2
    false_rates = (0.0, 0.01, 0.1, 0.5)
    rates = verification_rates(dist, query_pids, gallery_pids, exclude=exclude, false_rates=false_rates)
    match = query_pids[:, None] == gallery_pids
    false, true, _ = roc_curve(match[~exclude], -dist[~exclude], drop_intermediate=False)
    for rate in false_rates:
        expected = plain_rates(dist, query_pids, gallery_pids, exclude, rate)
        assert rates[f"TPR@FPR={rate:.0e}"] == pytest.approx(expected)
        assert expected == pytest.approx(true[false <= rate].max())
        threshold = rates[f"threshold@FPR={rate:.0e}"]
        assert (dist < threshold)[match & ~exclude].mean() == pytest.approx(expected)
        assert (dist < threshold)[~match & ~exclude].mean() <= rate


def test_a_perfect_ranking_accepts_every_matched_pair():
    pids = np.arange(200).repeat(3)
    dist = (pids[:, None] != pids).astype(float)
    assert verification_rates(dist, pids, pids) == {
        f"{name}@FPR={rate}": 1.0 for rate in ("1e-04", "1e-03", "1e-02") for name in ("TPR", "threshold")
    }


def test_without_matched_pairs_there_is_no_rate():
    with pytest.raises(UserError, match="there are 0 and 4"):
        verification_rates(np.zeros((2, 2)), np.array([1, 2]), np.array([3, 4]))
