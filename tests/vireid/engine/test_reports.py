"""What a table and results.json say beside the figures."""

import numpy as np
import pytest

from vireid.engine.reports import Row, best_metric, flat_means, results_record, results_table
from vireid.evaluation.protocols import ProtocolResult, Setting, Trial


def row(name="all-search", reranking="", value=50.0, **setting):
    trials = tuple(Trial(np.array([0]), np.array([1])) for _ in range(2))
    figures = {"Rank-1": value, "mAP": value / 2}
    result = ProtocolResult(figures, {"Rank-1": 1.0, "mAP": 0.5}, [figures, figures])
    settings = {"unique_pids": True, "direction": "i2v", "draw": "gallery by lot", **setting}
    return Row(Setting(name, trials, **settings), reranking, "cosine", False, result)


def test_the_table_says_what_made_the_figures():
    rows = [row(), row(reranking="MSER", value=60.0), row("backwards", direction="v2i", unique_pids=False)]
    table = results_table({"SYSUMM01": rows}, {"weights": "best.pth", "epoch": 7, "selected_by": "Rank-1"})
    lines = table.splitlines()
    assert lines[0] == "weights best.pth, epoch 7, chosen on the test set by Rank-1"
    assert lines[1] == (
        "SYSUMM01, all-search: infrared queries, visible gallery; gallery by lot; CMC of identities; "
        "cosine; no flip"
    )
    assert lines[2].startswith(
        "SYSUMM01, backwards: visible queries, infrared gallery; gallery by lot; CMC of images"
    )
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[5:]]
    assert [line[:5] for line in cells] == [
        ["SYSUMM01", "all-search", "none", "2", "50.00 ± 1.00"],
        ["SYSUMM01", "all-search", "MSER", "2", "60.00 ± 1.00"],
        ["SYSUMM01", "backwards", "none", "2", "50.00 ± 1.00"],
    ]


def test_the_record_holds_the_same():
    record = results_record({"SYSUMM01": [row(), row(reranking="MSER")]}, {"epoch": 3})
    assert record["epoch"] == 3
    plain, ranked = record["results"]["SYSUMM01"].values()
    assert list(record["results"]["SYSUMM01"]) == ["all-search", "all-search + MSER"]
    assert plain["conditions"] == {
        "direction": "infrared queries, visible gallery",
        "draw": "gallery by lot",
        "trials": 2,
        "cmc": "of identities",
        "metric": "cosine",
        "flip": False,
        "re-ranking": "none",
    }
    assert ranked["conditions"]["re-ranking"] == "MSER"
    assert plain["mean"] == {"Rank-1": 50.0, "mAP": 25.0} and len(plain["trials"]) == 2


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ("Rank-1", 50),
        ("all-search + MSER/Rank-1", 60),
        ("Other/backwards/mAP", 20),
        ("all-search/Rank-1, all-search + MSER/mAP", 40),
    ],
)
def test_the_best_model_is_chosen_by_the_figures_listed(figures, expected):
    means = flat_means(
        {"SYSUMM01": [row(), row(reranking="MSER", value=60.0)], "Other": [row("backwards", value=40.0)]}
    )
    assert best_metric(means, figures) == expected
