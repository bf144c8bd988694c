"""Which runs an ablation makes, and which again. A stand-in trains and scores, but in the last test."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from configs import PROJECTS, all_keys, tiny_config
from training import SHORT, train
from vireid.ablation import runs as module
from vireid.ablation.records import read_record, read_records
from vireid.ablation.runs import Versions, complete, plan_runs, record_path, records_of
from vireid.ablation.scores import Scores, score_weights
from vireid.ablation.suites import Row
from vireid.engine import merge_config
from vireid.errors import DatasetError, TrainingError

CONFIG = str(PROJECTS / "VIReID" / "configs" / "demo.yml")
PLAIN = Row("plain", CONFIG)
GAMMA = Row("gamma", CONFIG, ("SOLVER.GAMMA", "0.5"))
VERSIONS = Versions("code", "data")


def configure(file, options):
    cfg = all_keys()
    merge_config(cfg, file, options)
    return cfg


def planned(*rows, seeds=2, versions=VERSIONS):
    return plan_runs(rows, seeds, configure, versions)


@pytest.fixture
def ablate(monkeypatch, tmp_path):
    """``ablate(runs)`` completes them; ``ablate.started`` are the settings of the trainings it started."""
    fail = []

    def run(command, **kwargs):
        options = command[command.index("--config-file") + 2 :]
        settings = dict(zip(options[::2], options[1::2]))
        ablate.started.append(settings)
        if fail:
            return SimpleNamespace(returncode=fail.pop())
        folder = Path(settings["OUTPUT_DIR"])
        (folder / "metrics.json").write_text('{"iteration": 99}\n{"iteration": 199, "lr": 0.1}\n')
        (folder / "model_final.pth").write_text(settings["SEED"])
        return SimpleNamespace(returncode=0)

    def score(cfg, weights):
        value = float(Path(weights).read_text()) + 100 * cfg.SOLVER.GAMMA
        scores = Scores(np.array([1]), np.array([2.0]), {"Rank-1": np.array([value]), "mAP": np.array([1.0])})
        return {"val": {"plain": scores}, "test": {"plain": scores}}

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(module, "score_weights", score)

    def ablate(runs):
        ablate.started = []
        complete(runs, tmp_path / "results", tmp_path / "work", VERSIONS, Path("train_net.py"))

    ablate.fail, ablate.results = fail, tmp_path / "results"
    return ablate


def seeds_and_gammas(started):
    return [(settings["SEED"], settings.get("SOLVER.GAMMA", "")) for settings in started]


def test_each_row_is_trained_with_each_seed_and_its_record_says_what_it_reached(ablate):
    ablate(planned(PLAIN, GAMMA))
    assert seeds_and_gammas(ablate.started) == [("0", ""), ("0", "0.5"), ("1", ""), ("1", "0.5")]
    found = records_of(GAMMA, 3, configure, read_records(ablate.results), "code")
    assert sorted(found) == [0, 1]
    assert found[1].scores["test"]["plain"].mean("Rank-1") == 51.0
    assert (found[1].steps, found[1].settings["SOLVER.GAMMA"], found[1].data) == (200, 0.5, "data")


def test_a_finished_run_is_not_repeated_and_one_that_changed_is(ablate):
    ablate(planned(PLAIN, seeds=1))
    ablate(planned(PLAIN, GAMMA, seeds=2))
    assert seeds_and_gammas(ablate.started) == [("0", "0.5"), ("1", ""), ("1", "0.5")]
    for versions in (Versions("other", "data"), Versions("code", "other")):
        ablate(planned(PLAIN, seeds=1, versions=versions))
        assert len(ablate.started) == 1


def test_rows_that_are_the_same_run_share_it(ablate):
    same = Row("the default, named", CONFIG, ("SOLVER.GAMMA", str(configure(CONFIG, []).SOLVER.GAMMA)))
    runs = planned(PLAIN, same, seeds=1)
    assert len(runs) == 1


def test_a_failed_training_ends_the_ablation_names_its_log_and_keeps_the_others(ablate):
    runs = planned(PLAIN, GAMMA, seeds=1)
    ablate(runs[:1])
    ablate.fail.append(1)
    with pytest.raises(TrainingError, match=f"gamma, seed 0: the training failed; see .*{runs[1].key}"):
        ablate(runs)
    assert len(ablate.started) == 1
    assert [record_path(ablate.results, run).is_file() for run in runs] == [True, False]


def test_a_record_is_that_of_every_row_with_its_settings_and_of_no_other_version_of_the_code(ablate):
    ablate(planned(GAMMA, seeds=1))
    records = read_records(ablate.results)
    same = Row("other name", CONFIG, ("SOLVER.GAMMA", "0.50"))
    assert records_of(same, 1, configure, records, "code") == {0: records[0]}
    assert records_of(same, 1, configure, records, "newer") == {}
    assert records_of(PLAIN, 1, configure, records, "code") == {}


def test_a_file_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "agw-seed0.json"
    path.write_text(json.dumps({"config": "agw"}))
    with pytest.raises(DatasetError, match="agw-seed0.json is not the record of a run"):
        read_record(path)


def test_a_trained_model_is_scored_on_validation_and_test_identities(datasets, tmp_path):
    settings = {"DATASETS__SYSUMM01__TRAIN_ON": "train", "TEST__EVAL_PERIOD": -1}
    train(tmp_path, "MCJA/configs/sysu.yml", **settings)
    cfg = tiny_config("MCJA/configs/sysu.yml", **{**SHORT, **settings, "MODEL__HEADS__NUM_CLASSES": 1})
    scores = score_weights(cfg, str(tmp_path / "model_final.pth"))
    listed = {
        subset: [int(pid) for pid in (datasets / f"SYSU-MM01/exp/{subset}_id.txt").read_text().split(",")]
        for subset in ("val", "test")
    }
    for subset, pids in listed.items():
        assert set(scores[subset]) == {"plain", "MSER"}
        assert scores[subset]["plain"].pids.tolist() == pids
        assert scores[subset]["plain"].queries.tolist() == [6] * len(pids)  # three of each infrared camera
