"""Which queries are drawn, and which of two models ranks them better."""

import csv

import numpy as np
import pytest

from vireid.data.datasets.base import ImageItem
from vireid.errors import ConfigError, UserError
from vireid.evaluation import rank_metrics
from vireid.modality import Modality
from vireid.visualize.comparison import compare_trials, write_changes
from vireid.visualize.scored import ScoredTrial, choose_queries, scored_trial

from configs import tiny_config  # isort: skip
from vireid.engine.models import build_model


def items(camera, pids, modality):
    return [ImageItem(f"/d/cam{camera}/{pid}/{n}.jpg", pid, camera, modality) for n, pid in enumerate(pids)]


def made_up(precision, title="SYSUMM01, all-search"):
    """A trial of which only the average precision matters; NaN: a query that does not count."""
    precision = np.array(precision)
    queries = items(3, range(len(precision)), Modality.INFRARED)
    gallery = items(1, [0, 1], Modality.VISIBLE)
    match = np.where(np.isnan(precision), 0, 1)
    return ScoredTrial(title, queries, gallery, np.zeros((len(precision), 2)), precision, match)


PRECISION = [0.9, 0.1, np.nan, 0.5, 0.1, 1.0]


@pytest.mark.parametrize(
    ("how", "count", "expected"),
    [
        ("worst", 3, [1, 4, 3]),
        ("best", 2, [5, 0]),
        ("spread", 3, [0, 2, 5]),
        ("spread", 99, [0, 1, 2, 3, 4, 5]),
        ("worst", 99, [1, 4, 3, 0, 5]),
    ],
)
def test_queries_by_their_average_precision(how, count, expected):
    assert choose_queries(made_up(PRECISION), how, count).tolist() == expected


def test_random_queries_are_the_same_for_the_same_seed_and_count():
    drawn = [choose_queries(made_up(PRECISION), "random", 3, seed=seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 3 and 2 not in drawn[0] + drawn[2]


def test_queries_by_name():
    named = ["cam3/4/4.jpg", "/d/cam3/0/0.jpg"]
    assert choose_queries(made_up(PRECISION), "worst", 1, named=named).tolist() == [4, 0]
    with pytest.raises(ConfigError, match="query 7.jpg: the end of 0 queries' paths; expected that of one"):
        choose_queries(made_up(PRECISION), "worst", 1, named=["7.jpg"])


def test_figures_of_each_query_average_to_those_of_the_table(datasets):
    cfg = tiny_config()
    scored = scored_trial(cfg, build_model(cfg), "indoor-search single-shot")
    pids = [np.array([item.pid for item in some]) for some in (scored.queries, scored.gallery)]
    exclude = np.isinf(scored.distances)
    metrics = rank_metrics(np.where(exclude, 9, scored.distances), *pids, exclude=exclude, unique_pids=True)
    counted = scored.first_match > 0
    assert counted.sum() == metrics.num_valid_queries
    assert np.nanmean(scored.average_precision) == pytest.approx(metrics.mAP)
    assert (scored.first_match[counted] == 1).mean() == pytest.approx(metrics.cmc[0])
    with pytest.raises(ConfigError, match="setting 'outdoor': known: all-search"):
        scored_trial(cfg, build_model(cfg), "outdoor")


def test_gains_and_losses_of_each_query(tmp_path):
    first, second = made_up(PRECISION), made_up([0.7, 0.6, np.nan, 0.5, 0.0, 1.0])
    compared = compare_trials(first, second)
    assert compared.rows.tolist() == [0, 1, 3, 4, 5]
    np.testing.assert_allclose(compared.change, [-20, 50, 0, -10, 0])
    better, worse = compared.most_changed(5)
    assert (better.tolist(), worse.tolist()) == ([1], [0, 4])

    write_changes(first, second, tmp_path / "changes.csv")
    with open(tmp_path / "changes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [f"/d/cam3/{n}/{n}.jpg" for n in (1, 3, 5, 4, 0)]
    assert rows[0]["change"] == "50.00" and rows[0]["AP first"] == "10.00" and rows[0]["rank second"] == "1"


def test_models_on_different_queries_are_not_compared():
    with pytest.raises(UserError, match="different queries: A and B; compare them on the same test set"):
        compare_trials(made_up([0.5], "A"), made_up([0.5, 0.6], "B"))
