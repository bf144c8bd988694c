"""The table of a suite."""

import numpy as np
import pytest

from vireid.ablation.records import Record
from vireid.ablation.scores import Scores
from vireid.ablation.suites import Row
from vireid.ablation.tables import caption, markdown_table, suite_table

BASE = Row("base", "agw")
METHOD = Row("method", "mcja", ("A", "1"), against="base")
ROWS = (BASE, METHOD)


def scores(value):
    figures = {"Rank-1": np.array([value, value]), "mAP": np.array([value / 2, value / 2])}
    return Scores(np.array([1, 2]), np.array([4.0, 4.0]), figures)


def record(row, seed, **rankings):
    found = {name: scores(value) for name, value in rankings.items()}
    both = {"val": found, "test": {name: scores(value + 1) for name, value in rankings.items()}}
    return Record(row.config, row.options, seed, {}, "new", "data", 100, 60.0 + seed, 5.0, "here", both)


FOUND = {
    "base": {0: record(BASE, 0, plain=40.0), 1: record(BASE, 1, plain=44.0)},
    "method": {seed: record(METHOD, seed, plain=50.0 + 10 * seed, MSER=60.0 + 10 * seed) for seed in (0, 2)},
    "later": {},
}


def test_a_row_has_figures_over_its_seeds_and_differences_over_the_seeds_of_both():
    base, plain, reranked = suite_table(ROWS, FOUND, "val")
    assert (base["seeds"], base["Rank-1"][0], base["train_seconds"]) == ([0, 1], 42.0, 60.5)
    assert base["Rank-1"][1] == pytest.approx(8**0.5)
    assert (plain["ranking"], plain["seeds"], plain["mAP"][0]) == ("plain", [0, 2], 30.0)
    assert (plain["against"], plain["paired_seeds"]) == ("base", 1)
    assert plain["difference"]["Rank-1"] == {"mean": 10.0, "low": 10.0, "high": 10.0}
    # Re-ranked figures are compared with plain ones where the other row has no re-ranker.
    assert reranked["difference"]["Rank-1"]["mean"] == 20.0


def test_test_identities_are_others_and_a_row_without_runs_is_empty():
    assert suite_table([BASE], FOUND, "test")[0]["Rank-1"][0] == 43.0
    assert suite_table([Row("later", "pmcm")], FOUND, "test")[0]["seeds"] == []


def test_the_table_in_markdown():
    entries = suite_table([*ROWS, Row("later", "pmcm")], FOUND, "val")
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in markdown_table(entries).splitlines()
    ]
    assert lines[0][:5] == ["row", "seeds", "Rank-1", "mAP", "compared with"]
    assert lines[2] == ["base", "2", "42.0 ± 2.8", "21.0 ± 1.4", "", "", "", "60"]
    gain = ["base (1 seeds)", "+10.0 [+10.0, +10.0]", "+5.0 [+5.0, +5.0]", "61"]
    assert lines[3] == ["method", "2", "60.0 ± 14.1", "30.0 ± 7.1", *gain]
    assert lines[4][:3] == ["method + MSER", "2", "70.0 ± 14.1"]
    assert lines[5] == ["later", "0", "", "", "", "", "", ""]
    assert "validation identities" in caption("val", "new") and "Code version new" in caption("val", "new")
