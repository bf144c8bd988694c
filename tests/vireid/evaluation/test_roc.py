import numpy as np
import pytest
from sklearn.metrics import roc_curve

from vireid.errors import UserError
from vireid.evaluation.roc import verification_rates


def toolkit_rates(dist, query_pids, gallery_pids, exclude, false_rates):
    """The toolkit's computation, on Python lists, keeping every point of the curve."""
    scores, labels = [], []
    for q, row in enumerate(dist):
        for g, distance in enumerate(row):
            if not exclude[q, g]:
                scores.append(distance)
                labels.append(0 if query_pids[q] == gallery_pids[g] else 1)
    fprs, tprs, _ = roc_curve(labels, scores, drop_intermediate=False)
    return [tprs[np.argmin(np.abs(fprs - rate))] for rate in false_rates]


@pytest.mark.parametrize("seed", range(4))
def test_rates_are_the_toolkits(seed):
    rng = np.random.default_rng(seed)
    query_pids, gallery_pids = rng.integers(0, 5, 40), rng.integers(0, 5, 60)
    dist = rng.random((40, 60)) + 0.5 * (query_pids[:, None] != gallery_pids)
    exclude = rng.random((40, 60)) < 0.2
    false_rates = (0.001, 0.01, 0.1, 0.5)
    rates = verification_rates(dist, query_pids, gallery_pids, exclude=exclude, false_rates=false_rates)
    expected = toolkit_rates(dist, query_pids, gallery_pids, exclude, false_rates)
    assert list(rates.values()) == pytest.approx(expected)


def test_a_perfect_ranking_tells_every_pair_apart():
    pids = np.arange(200).repeat(3)
    dist = (pids[:, None] != pids).astype(float)
    assert verification_rates(dist, pids, pids) == {
        "TPR@FPR=1e-04": 0.0,  # less than one of 1,800 matched pairs
        "TPR@FPR=1e-03": 1.0,
        "TPR@FPR=1e-02": 1.0,
    }


def test_without_matched_pairs_there_is_no_rate():
    with pytest.raises(UserError, match="there are 0 and 4"):
        verification_rates(np.zeros((2, 2)), np.array([1, 2]), np.array([3, 4]))
