"""Training and scoring what an ablation lacks. Stand-ins train and score, but in the last test."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ablation_rows import GAMMA, PLAIN, planned
from configs import tiny_config
from training import SHORT, train
from vireid.ablation import training as module
from vireid.ablation.records import read_record
from vireid.ablation.runs import Versions, record_path
from vireid.ablation.scores import Scores, score_weights
from vireid.ablation.training import Training, keep_model
from vireid.engine.checkpoints.checkpoint import read_checkpoint
from vireid.errors import TrainingError


class Process:
    """Stands in for a training: leaves a model whose one weight is the seed. ``end`` may wait or fail."""

    def __init__(self, ablation, command, environment):
        options = command[command.index("--config-file") + 2 :]
        self.settings = dict(zip(options[::2], options[1::2]))
        self.ablation, self.threads, self.stopped = (
            ablation,
            environment["OMP_NUM_THREADS"],
            threading.Event(),
        )
        ablation.started.append(self)

    def wait(self):
        status = self.ablation.end(self)
        folder, seed = Path(self.settings["OUTPUT_DIR"]), int(self.settings["SEED"])
        (folder / "metrics.json").write_text('{"iteration": 99}\n{"iteration": 199, "lr": 0.1}\n')
        (folder / "config.yaml").write_text(f"SEED: {seed}\n")
        weights = {"weight": torch.tensor([float(seed)])}
        torch.save({"model": weights, "epoch": 1, "optimizer": {"state": {}}}, folder / "model_final.pth")
        return status

    def terminate(self):
        self.stopped.set()


class Ablation:
    """``ablation(runs, subset)`` completes them. ``started`` are the trainings that it started, ``scored``
    the seeds and subsets that it scored."""

    def __init__(self, folder):
        self.results, self.work, self.processes = folder / "results", folder / "work", 1
        self.code_now = "code"
        self.end = lambda process: 0

    def __call__(self, runs, subset="val"):
        self.started, self.scored = [], []
        versions = Versions("code", "data")
        training = Training(
            self.results, self.work, versions, Path("train_net.py"), self.processes, lambda: self.code_now
        )
        training.complete(runs, subset)

    def score(self, cfg, weights, subsets):
        seed = float(read_checkpoint(weights)["model"]["weight"])
        self.scored += [(seed, subset) for subset in subsets]
        figures = {"Rank-1": np.array([seed + 100 * cfg.SOLVER.GAMMA]), "mAP": np.array([1.0])}
        return {subset: {"plain": Scores(np.array([1]), np.array([2.0]), figures)} for subset in subsets}

    def record(self, run):
        return read_record(record_path(self.results, run))

    @property
    def seeds_and_gammas(self):
        return [
            (process.settings["SEED"], process.settings.get("SOLVER.GAMMA", "")) for process in self.started
        ]


@pytest.fixture
def ablation(monkeypatch, tmp_path):
    """See ``Ablation``."""
    made = Ablation(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", lambda command, env, **options: Process(made, command, env))
    monkeypatch.setattr(module, "score_weights", made.score)
    return made


def test_each_run_is_trained_and_its_record_says_what_it_reached(ablation):
    runs = planned(PLAIN, GAMMA)
    ablation(runs)
    assert ablation.seeds_and_gammas == [("0", ""), ("0", "0.5"), ("1", ""), ("1", "0.5")]
    record = ablation.record(runs[3])
    assert record.scores["val"]["plain"].mean("Rank-1") == 51.0
    assert (record.steps, record.settings["SOLVER.GAMMA"], record.data) == (200, 0.5, "data")


def test_a_finished_run_is_not_repeated(ablation):
    ablation(planned(PLAIN, seeds=1))
    ablation(planned(PLAIN, GAMMA, seeds=2))
    assert ablation.seeds_and_gammas == [("0", "0.5"), ("1", ""), ("1", "0.5")]


def test_only_the_identities_that_are_asked_for_are_scored(ablation):
    (run,) = runs = planned(PLAIN, seeds=1)
    ablation(runs, "val")
    assert ablation.scored == [(0.0, "val")]
    assert set(ablation.record(run).scores) == {"val"}


def test_the_other_identities_are_scored_later_without_training(ablation):
    (run,) = runs = planned(PLAIN, seeds=1)
    ablation(runs, "val")
    before = ablation.record(run)
    ablation(runs, "test")
    assert (ablation.started, ablation.scored) == ([], [(0.0, "test")])
    after = ablation.record(run)
    assert set(after.scores) == {"val", "test"}
    assert (after.train_seconds, after.steps) == (before.train_seconds, before.steps)


def test_where_the_model_was_deleted_it_is_trained_again_and_all_scores_are_of_the_new_one(ablation, capsys):
    (run,) = runs = planned(PLAIN, seeds=1)
    ablation(runs, "val")
    (ablation.work / run.key / "model_final.pth").unlink()
    ablation(runs, "test")
    assert (len(ablation.started), ablation.scored) == (1, [(0.0, "test"), (0.0, "val")])
    assert f"plain, seed 0: {ablation.work / run.key / 'model_final.pth'} is gone; training again" in (
        capsys.readouterr().out
    )


def test_what_a_run_without_its_record_left_is_removed_and_it_is_trained_again(ablation):
    (run,) = runs = planned(PLAIN, seeds=1)
    ablation(runs)
    record_path(ablation.results, run).unlink()
    left = []
    ablation.end = lambda process: (
        left.append(sorted(Path(process.settings["OUTPUT_DIR"]).glob("*.pth"))) or 0
    )
    ablation(runs)
    assert (left, len(ablation.started)) == ([[]], 1)


def test_nothing_is_trained_after_the_code_has_changed(ablation):
    def end(process):
        ablation.code_now = "edited"
        return 0

    ablation.end = end
    runs = planned(PLAIN, GAMMA, seeds=1)
    with pytest.raises(TrainingError, match="the code has changed since this ablation began"):
        ablation(runs)
    assert [record_path(ablation.results, run).is_file() for run in runs] == [True, False]


def test_a_second_ablation_in_a_folder_is_refused(ablation, python):
    code = "import sys; from vireid.ablation import training; training._locked(sys.argv[1]).__enter__()"
    refused = []
    ablation.end = lambda process: refused.append(python(code, str(ablation.work)).stderr) or 0
    ablation(planned(PLAIN, seeds=1))
    assert f"another ablation works in {ablation.work}: wait for its end" in refused[0]
    assert python(code, str(ablation.work)).returncode == 0


def test_of_a_finished_run_the_config_and_the_weights_are_left(ablation):
    (run,) = runs = planned(PLAIN, seeds=1)
    ablation(runs)
    folder = ablation.work / run.key
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "model_final.pth"]
    assert set(torch.load(folder / "model_final.pth", weights_only=True)) == {"model", "epoch", "digest"}


def test_a_failed_training_ends_the_ablation_names_its_log_and_keeps_the_others(ablation):
    runs = planned(PLAIN, GAMMA, seeds=1)
    ablation(runs[:1])
    ablation.end = lambda process: 1
    with pytest.raises(TrainingError, match=f"gamma, seed 0: the training failed; see .*{runs[1].key}"):
        ablation(runs)
    assert len(ablation.started) == 1
    assert [record_path(ablation.results, run).is_file() for run in runs] == [True, False]


def test_the_time_of_an_interrupted_training_counts(ablation, monkeypatch):
    (run,) = runs = planned(PLAIN, seeds=1)
    clock = iter([0.0, 40.0, 100.0, 103.0, 200.0, 202.0])  # of two trainings and of scoring
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    ablation.end = lambda process: 1
    with pytest.raises(TrainingError):
        ablation(runs)
    ablation.end = lambda process: 0
    ablation(runs)
    assert (ablation.record(run).train_seconds, ablation.record(run).score_seconds) == (43.0, 2.0)


def test_several_trainings_at_a_time_share_the_cores_and_give_the_same_records(ablation, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    runs = planned(PLAIN, GAMMA)
    together = threading.Barrier(2, timeout=60)

    def end(process):
        together.wait()  # passed by two trainings at a time alone
        return 0

    ablation.end, ablation.processes = end, 2
    ablation(runs)
    assert {process.threads for process in ablation.started} == {"2"}
    reached = [ablation.record(run).scores["val"]["plain"].mean("Rank-1") for run in runs]
    assert reached == [run.seed + 100 * run.cfg.SOLVER.GAMMA for run in runs]


def test_a_training_that_fails_stops_the_others_and_no_other_begins(ablation):
    runs = planned(PLAIN, GAMMA, seeds=2)
    together = threading.Barrier(2, timeout=60)

    def end(process):
        together.wait()
        if "SOLVER.GAMMA" in process.settings:
            return 1
        assert process.stopped.wait(timeout=60)
        return 143

    ablation.end, ablation.processes = end, 2
    with pytest.raises(TrainingError, match="gamma, seed 0"):
        ablation(runs)
    assert sorted(ablation.seeds_and_gammas) == [("0", ""), ("0", "0.5")]
    assert not any(record_path(ablation.results, run).is_file() for run in runs)


def test_sigterm_stops_the_trainings(ablation):
    def end(process):
        os.kill(os.getpid(), signal.SIGTERM)
        assert process.stopped.wait(timeout=60)
        return 143

    ablation.end = end
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        ablation(planned(PLAIN, seeds=1))
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_trained_model_is_scored_alike_before_and_after_its_checkpoint_is_stripped(datasets, tmp_path):
    settings = {"DATASETS__SYSUMM01__TRAIN_ON": "train", "TEST__EVAL_PERIOD": -1}
    train(tmp_path, "MCJA/configs/sysu.yml", **settings)
    cfg = tiny_config("MCJA/configs/sysu.yml", **{**SHORT, **settings, "MODEL__HEADS__NUM_CLASSES": 1})
    weights = tmp_path / "model_final.pth"
    (val,) = score_weights(cfg, str(weights), ["val"]).values()
    size = weights.stat().st_size
    keep_model(tmp_path)
    assert weights.stat().st_size < 0.6 * size  # Adam's two averages are gone
    scores = score_weights(cfg, str(weights), ["val", "test"])
    assert all((scores["val"][name].figures["mAP"] == val[name].figures["mAP"]).all() for name in val)
    for subset, found in scores.items():
        pids = [int(pid) for pid in (datasets / f"SYSU-MM01/exp/{subset}_id.txt").read_text().split(",")]
        assert set(found) == {"plain", "MSER"}
        assert found["plain"].pids.tolist() == pids
        assert found["plain"].queries.tolist() == [6] * len(pids)  # three of each infrared camera
