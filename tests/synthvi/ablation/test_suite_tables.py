"""The table of a suite."""

import json

import numpy as np
import pytest

from synthvi.ablation.run_records import Record
from synthvi.ablation.scores import Scores
from synthvi.ablation.suite_tables import (
    caption,
    markdown_table,
    read_table,
    suite_table,
    table_text,
    write_table,
)
from synthvi.ablation.suites import Suite, SuiteRow
from vireid.errors import UserError

BASE = SuiteRow("base", "agw")
METHOD = SuiteRow("method", "mcja", ("A", "1"), against="base")
ROWS = (BASE, METHOD)


def scores(value):
    figures = {"Rank-1": np.array([value, value]), "mAP": np.array([value / 2, value / 2])}
    return Scores(np.array([1, 2]), np.array([4.0, 4.0]), figures)


def record(row, seed, code="new", **rankings):
    found = {name: scores(value) for name, value in rankings.items()}
    both = {"val": found, "test": {name: scores(value + 1) for name, value in rankings.items()}}
    return Record(row.config, row.options, seed, {}, code, "data", 100, 60.0 + seed, 5.0, "here", both)


FOUND = {
    "base": {0: record(BASE, 0, plain=40.0), 1: record(BASE, 1, plain=44.0)},
    "method": {seed: record(METHOD, seed, plain=50.0 + 10 * seed, MSER=60.0 + 10 * seed) for seed in (0, 2)},
    "later": {},
}


def test_a_row_has_figures_over_its_seeds_and_differences_over_the_seeds_of_both():
    base, plain, reranked = suite_table(ROWS, FOUND, "val")
    assert (base["seeds"], base["codes"], base["train_seconds"]) == ([0, 1], ["new"], 60.5)
    assert base["Rank-1"] == {"mean": 42.0, "std": pytest.approx(8**0.5), "values": [40.0, 44.0]}
    assert (plain["ranking"], plain["seeds"], plain["mAP"]["mean"]) == ("plain", [0, 2], 30.0)
    assert (plain["against"], plain["paired_seeds"]) == ("base", 1)
    assert plain["difference"]["Rank-1"] == {"mean": 10.0, "low": 10.0, "high": 10.0}
    # Re-ranked figures are compared with plain ones where the other row has no re-ranker.
    assert reranked["difference"]["Rank-1"]["mean"] == 20.0
    assert (reranked["label"], reranked["against"]) == ("method + MSER", "base")


def test_re_ranked_figures_are_compared_with_re_ranked_ones_where_there_are_some():
    rows = [METHOD, SuiteRow("both", "combined", against="method")]
    found = {**FOUND, "both": {0: record(rows[1], 0, plain=70.0, MSER=75.0)}}
    entries = suite_table(rows, found, "val")[2:]
    compared = [(entry["against"], entry["difference"]["Rank-1"]["mean"]) for entry in entries]
    assert compared == [("method", 20.0), ("method + MSER", 15.0)]


def test_a_row_of_one_ranking_shows_it_alone_and_compares_it_with_a_plain_one():
    whole = SuiteRow("whole", "combined", against="method", ranking="MSER")
    found = {**FOUND, "whole": {0: record(whole, 0, plain=70.0, MSER=75.0)}}
    (entry,) = suite_table([whole], found, "val")
    assert (entry["label"], entry["ranking"], entry["against"]) == ("whole", "MSER", "method")
    assert (entry["Rank-1"]["mean"], entry["difference"]["Rank-1"]["mean"]) == (75.0, 25.0)
    assert suite_table([whole], {**FOUND, "whole": {}}, "val")[0]["seeds"] == []


def test_test_identities_are_others_and_a_row_without_runs_is_empty():
    assert suite_table([BASE], FOUND, "test")[0]["Rank-1"]["mean"] == 43.0
    assert suite_table([SuiteRow("later", "pmcm")], FOUND, "test")[0]["seeds"] == []


def test_the_table_in_markdown():
    entries = suite_table([*ROWS, SuiteRow("later", "pmcm")], FOUND, "val")
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in markdown_table(entries).splitlines()
    ]
    assert lines[0][:5] == ["row", "seeds", "Rank-1", "mAP", "compared with"]
    assert lines[2] == ["base", "2", "42.0 ± 2.8", "21.0 ± 1.4", "", "", "", "60"]
    gain = ["base (1 seed)", "+10.0 [+10.0, +10.0]", "+5.0 [+5.0, +5.0]", "61"]
    assert lines[3] == ["method", "2", "60.0 ± 14.1", "30.0 ± 7.1", *gain]
    assert lines[4][:3] == ["method + MSER", "2", "70.0 ± 14.1"]
    assert lines[5] == ["later", "0", "", "", "", "", "", ""]
    assert "validation identities" in caption("val", ["new"])


def test_a_table_names_the_versions_of_the_code_where_there_are_several():
    found = {"base": {0: record(BASE, 0, "old", plain=40.0), 1: record(BASE, 1, plain=44.0)}}
    entries = suite_table([BASE], found, "val")
    lines = markdown_table(entries).splitlines()
    assert (lines[0].split()[-2], lines[2].split("|")[-2].strip()) == ("code", "new, old")
    assert "Code version new, old." in caption("val", ["new", "old"])


def test_a_written_table_is_markdown_and_json(tmp_path):
    (entry,) = entries = suite_table([BASE], {"base": {0: record(BASE, 0, plain=40.0)}}, "test")
    table = write_table(tmp_path, Suite("parts", "Parts", (BASE,)), "test", entries)
    text = (tmp_path / "parts-test.md").read_text()
    assert text == table_text(table)
    assert text.startswith("### Parts\n\nAll-search single-shot on the test identities")
    assert (
        json.loads((tmp_path / "parts-test.json").read_text(), parse_constant=pytest.fail)
        == table
        == read_table(tmp_path / "parts-test.json")
    )
    assert table == {"suite": "parts", "title": "Parts", "subset": "test", "rows": [entry]}
    assert entry["Rank-1"] == {"mean": 41.0, "std": None, "values": [41.0]}


def test_a_table_is_not_written_over_one_with_more_seeds_of_a_row(tmp_path, caplog):
    suite = Suite("parts", "Parts", (BASE, METHOD))
    both = {row.name: {seed: record(row, seed, plain=40.0) for seed in range(2)} for row in (BASE, METHOD)}
    write_table(tmp_path, suite, "test", suite_table(suite.rows, both, "test"))
    before = (tmp_path / "parts-test.json").read_text()
    one = {name: {0: records[0]} for name, records in both.items()}
    for entries in (suite_table(suite.rows, one, "test"), suite_table([BASE], both, "test")):
        assert write_table(tmp_path, suite, "test", entries)["rows"] == entries
        assert (tmp_path / "parts-test.json").read_text() == before
        assert "fewer seeds of" in caplog.records[-1].message
    renamed = Suite("parts", "Parts", (BASE,))  # a row that the suite has no more does not count
    write_table(tmp_path, renamed, "test", suite_table([BASE], both, "test"))
    assert len(read_table(tmp_path / "parts-test.json")["rows"]) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "Expecting"), ('{"rows": []}', "it has no title, subset and rows"), ("[1]", "it has no title")],
)
def test_a_file_that_is_no_table_is_named(tmp_path, text, why):
    (tmp_path / "parts.json").write_text(text)
    with pytest.raises(
        UserError, match=f"parts.json is not a table of an ablation .{why}.* name a .json file"
    ):
        read_table(tmp_path / "parts.json")
