"""Which runs an ablation makes, and which records are theirs."""

import pytest

from ablation_rows import CONFIG, GAMMA, PLAIN, planned
from synthvi.ablation.rows import records_of
from synthvi.ablation.run_records import Record
from synthvi.ablation.settings import changed_settings, default_settings
from synthvi.ablation.suites import SuiteRow
from vireid.engine import full_config
from vireid.errors import ConfigError


def record(run, code="code", subsets=("val",)):
    scores = {subset: {} for subset in subsets}
    about = run.config_file, run.options, run.seed, changed_settings(run.cfg)
    return Record(*about, code, "data", 200, 60.0, 5.0, "", scores)


def found(row, records, *codes, seeds=2, data="data", subset="val"):
    """The records of a row, of versions of the code whose defaults are today's."""
    defaults = {code: default_settings() for code in codes or ("code",)}
    return records_of(row, seeds, records, defaults, data, subset)


def test_each_row_has_a_run_for_each_seed_and_all_rows_come_before_the_next_seed():
    runs = planned(PLAIN, GAMMA)
    assert [(run.name, run.cfg.SEED) for run in runs] == [
        ("plain, seed 0", 0),
        ("gamma, seed 0", 0),
        ("plain, seed 1", 1),
        ("gamma, seed 1", 1),
    ]
    assert runs[1].arguments[2:6] == ["SOLVER.GAMMA", "0.5", "SEED", "0"]
    assert runs[1].cfg.SOLVER.GAMMA == 0.5


def test_another_code_or_other_data_is_another_run():
    changes = {}, {"code": "other"}, {"data": "other"}
    assert len({run.folder for change in changes for run in planned(PLAIN, **change)}) == 6


@pytest.mark.parametrize(
    ("options", "found"),
    [((), "has no re-ranker; set"), (("TEST.RERANK.ENABLED", "True"), "has the re-ranker k-reciprocal; set")],
)
def test_a_ranking_that_the_config_does_not_give_is_refused_before_a_training(options, found):
    with pytest.raises(ConfigError, match=f"row 'again' shows the ranking MSER, but .*demo.yml {found}"):
        planned(SuiteRow("again", CONFIG, options, ranking="MSER"))


def test_a_ranking_that_the_config_gives_is_planned():
    (run,) = planned(SuiteRow("again", CONFIG, ("TEST.RERANKER", "MSER"), ranking="MSER"), seeds=1)
    assert run.cfg.TEST.RERANKER == "MSER"


def test_rows_that_are_the_same_run_share_it():
    same = SuiteRow("the default, named", CONFIG, ("SOLVER.GAMMA", str(full_config(CONFIG).SOLVER.GAMMA)))
    assert len(planned(PLAIN, same, seeds=1)) == 1


def test_a_record_is_that_of_every_row_with_its_settings():
    (run,) = planned(GAMMA, seeds=1)
    held = record(run)
    same = SuiteRow("other name", CONFIG, ("SOLVER.GAMMA", "0.50"))
    assert found(same, [held]) == {0: held}
    assert found(PLAIN, [held]) == {}


def test_a_record_stays_that_of_its_row_where_a_default_changes():
    """Once, GAMMA was 0.5 by default, there was a key more, and SOLVER.EMA.DECAY was not there."""
    then = {**default_settings(), "SOLVER.GAMMA": 0.5, "GONE": 1}
    del then["SOLVER.EMA.DECAY"]
    plain, gamma = (record(planned(row, seeds=1)[0]) for row in (PLAIN, GAMMA))
    plain.settings["SOLVER.GAMMA"] = default_settings()["SOLVER.GAMMA"]
    del gamma.settings["SOLVER.GAMMA"]
    for row, own in ((PLAIN, plain), (GAMMA, gamma)):
        assert records_of(row, 1, [gamma, plain], {"code": then}, "data", "val") == {0: own}
    averaged = SuiteRow("averaged", CONFIG, ("SOLVER.EMA.DECAY", "0.5"))
    gamma.settings["GONE"] = 2
    for row in (GAMMA, averaged):
        assert records_of(row, 1, [gamma, plain], {"code": then}, "data", "val") == {}


def test_records_are_of_the_versions_of_the_code_that_are_asked_for_the_first_before_others():
    first, second = planned(PLAIN, seeds=2)
    old = [record(first, "old"), record(second, "old")]
    records = [*old, record(first, "new"), record(first, "unasked")]
    assert found(PLAIN, records, "newer") == {}
    assert found(PLAIN, records, "old") == {0: old[0], 1: old[1]}
    assert found(PLAIN, records, "new", "old") == {0: records[2], 1: old[1]}


def test_a_record_without_scores_of_the_subset_is_none():
    first, second = planned(PLAIN, seeds=2)
    records = [record(first, subsets=["val"]), record(second, subsets=["test", "val"])]
    assert sorted(found(PLAIN, records, subset="test")) == [1]


def test_a_record_of_other_data_is_none():
    (run,) = planned(PLAIN, seeds=1)
    assert found(PLAIN, [record(run)], data="other") == {}
