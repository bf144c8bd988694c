"""Which runs an ablation makes, and which records are theirs."""

import json

import pytest

from ablation_rows import CONFIG, GAMMA, PLAIN, configure, planned
from vireid.ablation.records import Record, read_record
from vireid.ablation.runs import records_of
from vireid.ablation.suites import Row
from vireid.errors import ConfigError, DatasetError


def record(run, code="code", subsets=("val",)):
    scores = {subset: {} for subset in subsets}
    return Record(
        run.row.config, run.row.options, run.seed, run.settings, code, "data", 200, 60.0, 5.0, "", scores
    )


def test_each_row_has_a_run_for_each_seed_and_all_rows_come_before_the_next_seed():
    runs = planned(PLAIN, GAMMA)
    assert [(run.row.name, run.seed, run.cfg.SEED) for run in runs] == [
        ("plain", 0, 0),
        ("gamma", 0, 0),
        ("plain", 1, 1),
        ("gamma", 1, 1),
    ]
    assert runs[1].options == ["SOLVER.GAMMA", "0.5", "SEED", "0"]
    assert runs[1].settings["SOLVER.GAMMA"] == 0.5


def test_another_code_or_other_data_is_another_run():
    of = {
        run.key for change in ({}, {"code": "other"}, {"data": "other"}) for run in planned(PLAIN, **change)
    }
    assert len(of) == 6


@pytest.mark.parametrize(
    ("options", "found"),
    [((), "has no re-ranker; set"), (("TEST.RERANK.ENABLED", "True"), "has the re-ranker k-reciprocal; set")],
)
def test_a_ranking_that_the_config_does_not_give_is_refused_before_a_training(options, found):
    with pytest.raises(ConfigError, match=f"row 'again' shows the ranking MSER, but .*demo.yml {found}"):
        planned(Row("again", CONFIG, options, ranking="MSER"))


def test_a_ranking_that_the_config_gives_is_planned():
    (run,) = planned(Row("again", CONFIG, ("TEST.RERANKER", "MSER"), ranking="MSER"), seeds=1)
    assert run.cfg.TEST.RERANKER == "MSER"


def test_rows_that_are_the_same_run_share_it():
    same = Row("the default, named", CONFIG, ("SOLVER.GAMMA", str(configure(CONFIG, []).SOLVER.GAMMA)))
    assert len(planned(PLAIN, same, seeds=1)) == 1


def test_a_record_is_that_of_every_row_with_its_settings():
    (run,) = planned(GAMMA, seeds=1)
    found = record(run)
    same = Row("other name", CONFIG, ("SOLVER.GAMMA", "0.50"))
    assert records_of(same, 2, configure, [found], ["code"], "data", "val") == {0: found}
    assert records_of(PLAIN, 2, configure, [found], ["code"], "data", "val") == {}


def test_records_are_of_the_versions_of_the_code_that_are_asked_for_the_first_before_others():
    first, second = planned(PLAIN, seeds=2)
    old = [record(first, "old"), record(second, "old")]
    records = [*old, record(first, "new"), record(first, "unasked")]
    assert records_of(PLAIN, 2, configure, records, ["newer"], "data", "val") == {}
    assert records_of(PLAIN, 2, configure, records, ["old"], "data", "val") == {0: old[0], 1: old[1]}
    assert records_of(PLAIN, 2, configure, records, ["new", "old"], "data", "val") == {
        0: records[2],
        1: old[1],
    }


def test_a_record_without_scores_of_the_subset_is_none():
    first, second = planned(PLAIN, seeds=2)
    records = [record(first, subsets=["val"]), record(second, subsets=["test", "val"])]
    assert sorted(records_of(PLAIN, 2, configure, records, ["code"], "data", "test")) == [1]


def test_a_record_of_other_data_is_none():
    (run,) = planned(PLAIN, seeds=1)
    assert records_of(PLAIN, 1, configure, [record(run)], ["code"], "other", "val") == {}


def test_a_file_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "agw-seed0.json"
    path.write_text(json.dumps({"config": "agw"}))
    with pytest.raises(DatasetError, match="agw-seed0.json is not the record of a run"):
        read_record(path)
