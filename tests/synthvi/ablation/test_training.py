"""Training and scoring what an ablation lacks. Stand-ins train and score, but in the last test."""

import fcntl
import multiprocessing
import os
import shutil
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ablation_rows import GAMMA, PLAIN, planned
from configs import tiny_config
from stand_in_processes import replace_processes
from synthvi.ablation import training as module
from synthvi.ablation.run_records import read_records
from synthvi.ablation.scores import Scores, score_weights
from synthvi.ablation.settings import changed_settings
from synthvi.ablation.training import Ablation, keep_model
from synthvi.ablation.versions import Versions
from training import SHORT, train
from vireid.engine.checkpoints.checkpoint import read_checkpoint
from vireid.errors import TrainingError


class Tried:
    """``ablation(runs, subset)`` completes them. Stand-ins leave models whose one weight is the seed.

    ``started`` are the trainings that it started, ``scored`` the seeds and subsets that it scored. ``end``
    may wait or fail.
    """

    def __init__(self, folder):
        self.results, self.work, self.jobs = folder / "results", folder / "work", 1
        self.code_now = "code"
        self.end = lambda process: 0

    def __call__(self, runs, subset="val"):
        self.started, self.scored = [], []
        versions = Versions("code", "data")
        Ablation(self.results, self.work, versions, self.jobs, lambda: self.code_now).complete(runs, subset)

    def train(self, process):
        self.started.append(process)
        status, seed = self.end(process), int(process.settings["SEED"])
        (process.folder / "metrics.json").write_text('{"iteration": 99}\n{"iteration": 199, "lr": 0.1}\n')
        (process.folder / "config.yaml").write_text(f"SEED: {seed}\n")
        weights = {"weight": torch.tensor([float(seed)])}
        content = {"model": weights, "epoch": 1, "optimizer": {"state": {}}}
        torch.save(content, process.folder / "model_final.pth")
        return status

    def planned(self, *rows, **options):
        return planned(*rows, work=self.work, **options)

    def score(self, cfg, weights, subsets):
        seed = float(read_checkpoint(weights)["model"]["weight"])
        self.scored += [(seed, subset) for subset in subsets]
        figures = {"Rank-1": np.array([seed + 100 * cfg.SOLVER.GAMMA]), "mAP": np.array([1.0])}
        return {subset: {"plain": Scores(np.array([1]), np.array([2.0]), figures)} for subset in subsets}

    def record(self, run):
        """The record of a run; None where there is none."""
        return next(
            (held for held in read_records(self.results) if held.settings == changed_settings(run.cfg)), None
        )

    @property
    def seeds_and_gammas(self):
        return [
            (process.settings["SEED"], process.settings.get("SOLVER.GAMMA", "")) for process in self.started
        ]


@pytest.fixture
def ablation(monkeypatch, tmp_path):
    """See ``Tried``."""
    made = Tried(tmp_path)
    replace_processes(monkeypatch, made.train)
    monkeypatch.setattr(module, "score_weights", made.score)
    return made


def test_each_run_is_trained_and_its_record_says_what_it_reached(ablation):
    runs = ablation.planned(PLAIN, GAMMA)
    ablation(runs)
    assert ablation.seeds_and_gammas == [("0", ""), ("0", "0.5"), ("1", ""), ("1", "0.5")]
    record = ablation.record(runs[3])
    assert record.scores["val"]["plain"].mean("Rank-1") == 51.0
    assert (record.steps, record.settings["SOLVER.GAMMA"], record.data) == (200, 0.5, "data")


def test_a_finished_run_is_not_repeated(ablation):
    ablation(ablation.planned(PLAIN, seeds=1))
    ablation(ablation.planned(PLAIN, GAMMA, seeds=2))
    assert ablation.seeds_and_gammas == [("0", "0.5"), ("1", ""), ("1", "0.5")]


def test_only_the_identities_that_are_asked_for_are_scored(ablation):
    (run,) = runs = ablation.planned(PLAIN, seeds=1)
    ablation(runs, "val")
    assert ablation.scored == [(0.0, "val")]
    assert set(ablation.record(run).scores) == {"val"}


def test_the_other_identities_are_scored_later_without_training(ablation):
    (run,) = runs = ablation.planned(PLAIN, seeds=1)
    ablation(runs, "val")
    before = ablation.record(run)
    ablation(runs, "test")
    assert (ablation.started, ablation.scored) == ([], [(0.0, "test")])
    after = ablation.record(run)
    assert set(after.scores) == {"val", "test"}
    assert (after.train_seconds, after.steps) == (before.train_seconds, before.steps)


def test_where_the_model_was_deleted_it_is_trained_again_and_all_scores_are_of_the_new_one(ablation, capsys):
    (run,) = runs = ablation.planned(PLAIN, seeds=1)
    ablation(runs, "val")
    (run.folder / "model_final.pth").unlink()
    ablation(runs, "test")
    assert (len(ablation.started), ablation.scored) == (1, [(0.0, "test"), (0.0, "val")])
    assert f"plain, seed 0: {run.folder / 'model_final.pth'} is gone; training again" in (
        capsys.readouterr().out
    )


def test_what_a_run_without_its_record_left_is_removed_and_it_is_trained_again(ablation):
    runs = ablation.planned(PLAIN, seeds=1)
    ablation(runs)
    shutil.rmtree(ablation.results)
    left = []
    ablation.end = lambda process: left.append(sorted(process.folder.glob("*.pth"))) or 0
    ablation(runs)
    assert (left, len(ablation.started)) == ([[]], 1)


def test_nothing_is_trained_after_the_code_has_changed(ablation):
    def end(process):
        ablation.code_now = "edited"
        return 0

    ablation.end = end
    runs = ablation.planned(PLAIN, GAMMA, seeds=1)
    with pytest.raises(TrainingError, match="the code has changed since this ablation began"):
        ablation(runs)
    assert [ablation.record(run) is not None for run in runs] == [True, False]


def hold_lock(path, held, done):
    with open(path, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        held.set()
        done.wait(60)


def test_a_second_ablation_in_a_folder_is_refused(ablation):
    forking = multiprocessing.get_context("fork")
    held, done = forking.Event(), forking.Event()
    ablation.work.mkdir()
    other = forking.Process(target=hold_lock, args=(ablation.work / ".lock", held, done))
    other.start()
    assert held.wait(60)
    runs = ablation.planned(PLAIN, seeds=1)
    with pytest.raises(TrainingError, match=f"another ablation works in {ablation.work}: wait for its end"):
        ablation(runs)
    assert ablation.started == []
    done.set()
    other.join()
    ablation(runs)
    assert len(ablation.started) == 1


def test_of_a_finished_run_the_config_and_the_weights_are_left(ablation):
    (run,) = runs = ablation.planned(PLAIN, seeds=1)
    ablation(runs)
    folder = run.folder
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "model_final.pth"]
    assert set(torch.load(folder / "model_final.pth", weights_only=True)) == {"model", "epoch", "digest"}


def test_a_failed_training_ends_the_ablation_names_its_log_and_keeps_the_others(ablation):
    runs = ablation.planned(PLAIN, GAMMA, seeds=1)
    ablation(runs[:1])
    ablation.end = lambda process: 1
    with pytest.raises(TrainingError, match=f"gamma, seed 0: the training failed; see {runs[1].folder}"):
        ablation(runs)
    assert len(ablation.started) == 1
    assert [ablation.record(run) is not None for run in runs] == [True, False]


def test_the_time_of_an_interrupted_training_counts(ablation, monkeypatch):
    (run,) = runs = ablation.planned(PLAIN, seeds=1)
    clock = iter([0.0, 40.0, 100.0, 103.0, 200.0, 202.0])  # of two trainings and of scoring
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    ablation.end = lambda process: 1
    with pytest.raises(TrainingError):
        ablation(runs)
    ablation.end = lambda process: 0
    ablation(runs)
    assert (ablation.record(run).train_seconds, ablation.record(run).score_seconds) == (43.0, 2.0)


def test_several_trainings_at_a_time_share_the_cores_and_give_the_same_records(ablation, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    runs = ablation.planned(PLAIN, GAMMA)
    together = threading.Barrier(2, timeout=60)

    def end(process):
        together.wait()  # passed by two trainings at a time alone
        return 0

    ablation.end, ablation.jobs = end, 2
    ablation(runs)
    assert {process.threads for process in ablation.started} == {"2"}
    reached = [ablation.record(run).scores["val"]["plain"].mean("Rank-1") for run in runs]
    assert reached == [run.seed + 100 * run.cfg.SOLVER.GAMMA for run in runs]


def test_a_training_that_fails_stops_the_others_and_no_other_begins(ablation):
    runs = ablation.planned(PLAIN, GAMMA, seeds=2)
    together = threading.Barrier(2, timeout=60)

    def end(process):
        together.wait()
        if "SOLVER.GAMMA" in process.settings:
            return 1
        assert process.stopped.wait(timeout=60)
        return 143

    ablation.end, ablation.jobs = end, 2
    with pytest.raises(TrainingError, match="gamma, seed 0"):
        ablation(runs)
    assert sorted(ablation.seeds_and_gammas) == [("0", ""), ("0", "0.5")]
    assert not any(ablation.record(run) is not None for run in runs)


def test_sigterm_stops_the_trainings(ablation):
    def end(process):
        os.kill(os.getpid(), signal.SIGTERM)
        assert process.stopped.wait(timeout=60)
        return 143

    ablation.end = end
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        ablation(ablation.planned(PLAIN, seeds=1))
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
