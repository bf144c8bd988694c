"""Training and evaluation end to end, on generated data in each layout."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from configs import PROJECTS, TINY
from plain_evaluation import METRICS, plain_figures
from training import train, trainer_of
from vireid.data import build_dataset
from vireid.engine import evaluate_weights, evaluation, rehearsal
from vireid.engine.evaluation import evaluate_dataset
from vireid.engine.loss_log import LossLog
from vireid.engine.step import OptimizationStep
from vireid.errors import CheckpointError, ConfigError, DatasetError, TrainingError, UserError

TRAIN_NET = Path(__file__).parents[3] / "tools" / "train_net.py"

# Each method and each layout once; what a config of a method changes for a layout is in test_run_setup.py.
RUNS = {
    "VIReID/configs/regdb.yml": {"visible-to-infrared", "infrared-to-visible"},
    "PMCM/configs/llcm.yml": {
        "infrared-to-visible",
        "visible-to-infrared",
        "visible-to-infrared as released",
    },
    "MCJA/configs/sysu.yml": {
        "all-search single-shot",
        "all-search multi-shot",
        "indoor-search single-shot",
        "indoor-search multi-shot",
    },
}
REGDB = "VIReID/configs/regdb.yml"


@pytest.fixture(scope="module")
def runs(generated_root, tmp_path_factory):
    """A function that trains a config for one epoch; a second test that asks for it gets the same run, and
    must leave its folder as it is."""
    trained = {}

    def run(file):
        if file not in trained:
            split = {"DATASETS__REGDB__SPLIT": 2} if file == REGDB else {}
            trained[file] = train(tmp_path_factory.mktemp("runs") / "run", file, **split)
        return trained[file]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(generated_root))
        yield run


@pytest.fixture
def copy_of_run(runs, tmp_path):
    """The folder of a finished training of the baseline on RegDB, to be changed."""
    return shutil.copytree(runs(REGDB).folder, tmp_path / "run")


@pytest.mark.parametrize("file", RUNS)
def test_an_epoch_moves_every_tensor_and_leaves_its_files(runs, file):
    run = runs(file)
    assert run.unmoved == []
    files = os.listdir(run.folder)
    assert {"config.yaml", "log.txt", "metrics.json", "model_best.pth", "model_final.pth"} <= set(files)
    assert any(name.startswith("events.out.tfevents") for name in files)


@pytest.mark.parametrize("file", RUNS)
def test_its_figures_are_those_of_a_plain_loop_over_images_and_trials(runs, file):
    run = runs(file)
    cfg = run.trainer.cfg
    ((name, rows),) = run.results.items()
    plain = {row for row in rows if " + " not in row}
    assert plain == RUNS[file]
    assert set(rows) - plain == ({f"{row} + MSER" for row in plain} if "MCJA" in file else set())
    record = json.loads((run.folder / "results.json").read_text())["results"][name]
    expected = plain_figures(cfg, run.trainer.model, build_dataset(cfg, name))
    assert set(expected) == plain
    found = {row: np.array([[t[m] for m in METRICS] for t in record[row]["trials"]]) for row in expected}
    for row, table in found.items():
        assert table.shape == expected[row].shape == ((1 if "regdb" in file else 2), 6)
        np.testing.assert_allclose([rows[row][m] for m in METRICS], table.mean(axis=0))
    same = np.concatenate([np.isclose(found[row], expected[row], atol=1e-6).ravel() for row in expected])
    assert same.mean() > 0.9  # two distances that differ by rounding may be ranked either way


@pytest.mark.parametrize("file", RUNS)
def test_eval_only_repeats_its_figures(runs, tmp_path, file):
    run = runs(file)
    cfg = run.trainer.cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(tmp_path)
    cfg.MODEL.WEIGHTS = str(run.folder / "model_final.pth")
    cfg.MODEL.HEADS.NUM_CLASSES = 0
    assert evaluate_weights(cfg) == run.results
    first, again = (json.loads((f / "results.json").read_text()) for f in (run.folder, tmp_path))
    assert again["results"] == first["results"]


def test_identities_are_counted_whatever_the_config_says(datasets, tmp_path):
    trainer = trainer_of(tmp_path, MODEL__HEADS__NUM_CLASSES=1000)
    assert len(trainer.model.heads.weight) == trainer.data_loader.dataset.num_classes < 1000


def test_the_same_seed_repeats_a_run_and_another_does_not(datasets, tmp_path):
    def weights(folder, seed, workers):
        options = {"SEED": seed, "DATALOADER__NUM_WORKERS": workers, "TEST__EVAL_PERIOD": -1}
        trained = train(tmp_path / folder, "PMCM/configs/sysu.yml", **options).trainer.model.state_dict()
        assert not multiprocessing.active_children()  # workers end with the training
        return trained

    first, second, other = weights("a", 3, 0), weights("b", 3, 2), weights("c", 4, 0)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["backbone.conv1.visible.weight"], other["backbone.conv1.visible.weight"])


def test_a_resumed_run_ends_as_an_uninterrupted_one(datasets, tmp_path):
    options = {"SOLVER__MAX_EPOCH": 3, "TEST__EVAL_PERIOD": 0, "DATALOADER__MAX_BATCHES_PER_EPOCH": 2}
    whole = train(tmp_path / "whole", "PMCM/configs/sysu.yml", **options)
    killed = shutil.copytree(whole.folder, tmp_path / "killed")
    for later in ("model_final.pth", "model_best.pth"):  # as if killed in the last epoch
        (killed / later).unlink()
    resumed = train(killed, "PMCM/configs/sysu.yml", resume=True, **options)
    assert resumed.trainer.start == (2, 0)
    expected = whole.trainer.model.state_dict()
    found = resumed.trainer.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert resumed.results == whole.results


def test_evaluating_does_not_change_the_training(runs, datasets, tmp_path):
    """Neither its draws nor its weights: MCJA evaluates with MSER."""
    evaluated = runs("MCJA/configs/sysu.yml")
    alone = train(tmp_path, "MCJA/configs/sysu.yml", TEST__EVAL_PERIOD=-1, TEST__RERANKER="")
    expected = evaluated.trainer.model.state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in alone.trainer.model.state_dict().items())


def test_a_run_is_not_overwritten_by_another(copy_of_run):
    with pytest.raises(ConfigError, match=r"holds model_best.pth, model_final.pth of another run.*--resume"):
        train(copy_of_run, REGDB)


def test_resuming_a_finished_run_evaluates_it(runs, copy_of_run):
    again = train(copy_of_run, REGDB, resume=True, DATASETS__REGDB__SPLIT=2)
    assert again.trainer.start == (1, 0)
    assert again.results == runs(REGDB).results


def test_a_finished_run_that_evaluates_never_does_not_when_resumed(copy_of_run):
    (copy_of_run / "results.json").unlink()
    again = train(copy_of_run, REGDB, resume=True, DATASETS__REGDB__SPLIT=2, TEST__EVAL_PERIOD=-1)
    assert (again.results, (copy_of_run / "results.json").exists()) == ({}, False)


def test_machines_that_find_different_checkpoints_do_not_resume(copy_of_run, monkeypatch):
    def meet(given):
        found = {name: "none" if "checkpoint" in name else value for name, value in given[1].items()}
        return [given, ["other", found]]

    monkeypatch.setattr("vireid.meeting.meet", meet)
    message = r"checkpoint of --resume .*rank 1 on other: none; rank 0 .*: model_final.pth of epoch 1.*share"
    with pytest.raises(ConfigError, match=message):
        train(copy_of_run, REGDB, resume=True, SOLVER__MAX_EPOCH=2, DATASETS__REGDB__SPLIT=2)


def test_an_evaluation_that_fails_does_not_lose_the_epoch_and_is_repeated(datasets, tmp_path, monkeypatch):
    evaluations = []
    options = {"SOLVER__MAX_EPOCH": 2, "DATASETS__TRIALS": 1, "DATALOADER__MAX_BATCHES_PER_EPOCH": 1}

    def fail_the_second_time(*args, **kwargs):
        evaluations.append(args)
        if len(evaluations) == 2:
            raise DatasetError("an image cannot be read")
        return evaluate_dataset(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("vireid.engine.evaluation.evaluate_dataset", fail_the_second_time)
        with pytest.raises(DatasetError, match="an image cannot be read"):
            train(tmp_path, SOLVER__CHECKPOINT_PERIOD=0, **options)
    best = torch.load(tmp_path / "model_best.pth", weights_only=True)
    saved = torch.load(tmp_path / "model_within_epoch.pth", weights_only=True)
    assert (best["epoch"], saved["epoch"], saved["step"]) == (0, 1, 1)
    assert saved["best_metric"] == best["metric"]
    resumed = train(tmp_path, resume=True, **options)
    assert resumed.trainer.start == (1, 1)
    assert resumed.results["SYSUMM01"]
    assert resumed.trainer.checkpoints.best >= best["metric"]
    assert not (tmp_path / "model_within_epoch.pth").exists()
    final = torch.load(tmp_path / "model_final.pth", weights_only=True)["model"]
    assert all(torch.equal(final[name], value) for name, value in saved["model"].items())


def test_a_resumed_run_follows_a_changed_rate(datasets, tmp_path):
    options = {"TEST__EVAL_PERIOD": -1, "DATALOADER__MAX_BATCHES_PER_EPOCH": 2}
    train(tmp_path, SOLVER__BASE_LR=0.01, **options)
    changed = {"SOLVER__MAX_EPOCH": 3, "SOLVER__STEPS": [2], "SOLVER__BASE_LR": 0.5}
    run = train(tmp_path, resume=True, **changed, **options)
    rates = {line["iteration"]: line["lr"] for line in run.written if "lr" in line}
    heads = 10 if max(rates.values()) > 1 else 1  # the largest group may be the heads'
    assert rates[3] == pytest.approx(0.5 * heads)
    assert rates[5] == pytest.approx(0.05 * heads)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"TEST__BEST_METRIC": "all-search/mAP"},
            "'all-search/mAP'; the rows of the table are SYSUMM01/all-search single",
        ),
        (
            {"TEST__RERANK__ENABLED": True, "TEST__RERANK__K1": 999},
            "TEST.RERANK.K1 is 999; all-search single",
        ),
        (
            {"TEST__AQE__ENABLED": True, "TEST__AQE__QE_K": 999},
            r"SYSUMM01: TEST.AQE.QE_K is 999; all-search single-shot has (\d+) images: set it to 1..\d+",
        ),
        ({"DATASETS__TESTS": []}, "DATASETS.TESTS is empty: nothing could be evaluated after the training"),
        ({"TEST__RERANKER": "MSER", "TEST__MSER__K1": 999}, "SYSUMM01: TEST.MSER.K1 is 999; all-search"),
        ({"TEST__RERANKER": "MSER", "TEST__AQE__ENABLED": True}, "asks for another re-ranker"),
        ({"DATASETS__TESTS": ["Market1501"]}, "Market1501"),
    ],
)
def test_what_an_evaluation_would_fail_at_is_found_before_training(datasets, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        train(tmp_path, **overrides)
    assert not (tmp_path / "model_final.pth").exists()


def test_what_no_check_knows_of_fails_in_the_rehearsal(datasets, tmp_path, monkeypatch):
    def fail(*arguments, **keywords):
        raise IndexError("index 7 is out of bounds")

    monkeypatch.setattr("vireid.engine.scoring.verification_rates", fail)
    message = r"SYSUMM01 could not be evaluated after the training .*\(IndexError: index 7 is out of bounds\)"
    with pytest.raises(ConfigError, match=message):
        train(tmp_path, TEST__ROC__ENABLED=True)


@pytest.mark.parametrize(("setting", "row"), [({}, 0), ({"TEST__RERANKER": "MSER"}, 1)])
def test_the_rehearsal_scores_one_trial_of_each_setting(datasets, tmp_path, monkeypatch, setting, row):
    scored = []
    score_all = evaluation.score
    monkeypatch.setattr(rehearsal, "score", lambda *args: scored.extend(score_all(*args)))
    trainer_of(tmp_path, **setting)
    names = sorted(RUNS["MCJA/configs/sysu.yml"])
    expected = [*names, *(f"{name} + MSER" for name in names)] if row else names
    assert sorted(row.name for row in scored) == sorted(expected)
    assert {len(row.result.trials) for row in scored} == {1}


ANOTHER_SPLIT = "trained on RegDB split 2, but the config says 3"


def test_weights_of_another_split_of_regdb_are_no_start(runs, tmp_path):
    weights = str(runs(REGDB).folder / "model_final.pth")
    with pytest.raises(CheckpointError, match=ANOTHER_SPLIT):
        train(tmp_path, REGDB, DATASETS__REGDB__SPLIT=3, MODEL__WEIGHTS=weights)


def test_weights_of_another_split_of_regdb_are_not_evaluated(runs):
    run = runs(REGDB)
    cfg = run.trainer.cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(run.folder / "model_final.pth")
    cfg.DATASETS.REGDB.SPLIT = 3
    with pytest.raises(CheckpointError, match=ANOTHER_SPLIT):
        evaluate_weights(cfg)


def test_a_loss_that_blows_up_names_iteration_losses_and_checkpoint(runs, copy_of_run):
    intact = (copy_of_run / "model_final.pth").read_bytes()
    options = {"DATASETS__REGDB__SPLIT": 2, "TEST__EVAL_PERIOD": -1, "SOLVER__CHECKPOINT_PERIOD": 0}
    message = r"iteration \d+ \(epoch \d\): a loss is not finite: loss_ce .*model_final.pth"
    with pytest.raises(TrainingError, match=message):
        train(copy_of_run, REGDB, resume=True, SOLVER__MAX_EPOCH=20, SOLVER__BASE_LR=1e3, **options)
    assert (copy_of_run / "model_final.pth").read_bytes() == intact


def never_waiting(monkeypatch):
    """As on a GPU: losses are read at the end of an epoch, and every 200 iterations."""
    build = OptimizationStep.__init__

    def without_waiting(self, *arguments):
        build(self, *arguments)
        self.waits = False

    monkeypatch.setattr(OptimizationStep, "__init__", without_waiting)


def test_losses_read_once_an_epoch_are_logged_as_those_read_in_every_step(datasets, tmp_path, monkeypatch):
    def logged(folder):
        options = {"SOLVER__MAX_EPOCH": 2, "TEST__EVAL_PERIOD": -1}
        trainer = train(tmp_path / folder, "PMCM/configs/sysu.yml", **options).trainer
        names = ("total_loss", "loss_ce", "loss_pmml", "cls_accuracy")
        return {name: trainer.storage.history(name).values() for name in names}

    expected = logged("waiting")
    reads = []
    never_waiting(monkeypatch)
    check = LossLog.check
    monkeypatch.setattr(LossLog, "check", lambda self: reads.append(len(self._pending)) or check(self))
    assert logged("not waiting") == expected
    assert reads == [4, 4]


def test_a_step_that_is_not_finite_is_found_before_anything_is_saved(datasets, tmp_path, monkeypatch):
    never_waiting(monkeypatch)
    train(tmp_path, SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=-1)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.pth")}
    step, steps = OptimizationStep.__call__, []

    def spoiling(self, *arguments):
        losses = step(self, *arguments)
        steps.append(losses)
        if len(steps) == 1:
            self.model.heads.weight.data[0, 0] = float("nan")
        return losses

    monkeypatch.setattr(OptimizationStep, "__call__", spoiling)
    message = r"iteration 5 \(epoch 1\): a loss is not finite: loss_ce .*model_final.pth"
    with pytest.raises(TrainingError, match=message):
        train(tmp_path, resume=True, TEST__EVAL_PERIOD=1, SOLVER__MAX_EPOCH=3)
    assert len(steps) == 4
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.pth")} == before


def test_weights_that_the_last_step_of_an_epoch_spoils_are_not_saved(datasets, tmp_path, monkeypatch):
    step = OptimizationStep.__call__

    def spoiling(self, *arguments):
        losses = step(self, *arguments)
        self.model.heads.weight.data[0, 0] = float("inf")
        return losses

    monkeypatch.setattr(OptimizationStep, "__call__", spoiling)
    message = (
        r"epoch 0: the weights are not finite after its last iteration \(kept as not_finite_0000.pth\); "
    )
    with pytest.raises(TrainingError, match=message + "there is no checkpoint yet"):
        train(tmp_path, DATALOADER__MAX_BATCHES_PER_EPOCH=1)
    assert [path.name for path in tmp_path.glob("*.pth")] == ["not_finite_0000.pth"]
    assert not (tmp_path / "last_checkpoint").exists()


def test_weights_whose_features_overflow_are_kept_beside_and_never_resumed_from(
    datasets, tmp_path, monkeypatch
):
    """They are finite themselves, so that the evaluation is the first to find out."""
    options = {"SOLVER__MAX_EPOCH": 2, "DATALOADER__MAX_BATCHES_PER_EPOCH": 1, "DATASETS__TRIALS": 1}
    step, steps = OptimizationStep.__call__, []

    def spoiling(self, *arguments):
        losses = step(self, *arguments)
        steps.append(losses)
        if len(steps) == 2:
            self.model.backbone.layer4[0].conv2.weight.data.fill_(3e38)
        return losses

    message = (
        r"epoch 1: SYSUMM01: \d+ of \d+ features are NaN or infinite: .* \(kept as not_finite_0001.pth\); "
        r"the last good checkpoint is .*model_0000.pth"
    )
    with monkeypatch.context() as patch:
        patch.setattr(OptimizationStep, "__call__", spoiling)
        with pytest.raises(TrainingError, match=message):
            train(tmp_path, **options)
    resumed = train(tmp_path, resume=True, **options)
    assert resumed.trainer.start == (1, 0)


def tiny_options():
    return [str(item) for pair in TINY.items() if pair[0] != "MODEL.HEADS.NUM_CLASSES" for item in pair]


def test_two_processes_train_as_one(datasets, tmp_path):
    """Both have the same weights, and what one of them evaluates alone is what both evaluated."""
    options = ["MODEL.HEADS.PARTS.COUNT", "2", "SOLVER.MAX_EPOCH", "1", "TEST.EVAL_PERIOD", "1"]
    options += ["DATALOADER.MAX_BATCHES_PER_EPOCH", "3", "DATASETS.TRIALS", "2", "OUTPUT_DIR", str(tmp_path)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]  # on a free port
    config = str(PROJECTS / "PMCM/configs/sysu.yml")
    run = subprocess.run(
        [sys.executable, *launcher, str(TRAIN_NET), "--config-file", config, *tiny_options(), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "World size: 2" in (tmp_path / "log.txt").read_text()
    results = json.loads((tmp_path / "results.json").read_text())["results"]["SYSUMM01"]
    cfg = trainer_of(tmp_path / "alone", "PMCM/configs/sysu.yml").cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(tmp_path / "model_final.pth")
    alone = evaluate_weights(cfg)["SYSUMM01"]
    assert set(results) == set(alone) == RUNS["MCJA/configs/sysu.yml"]
    for setting, figures in results.items():
        assert alone[setting] == figures["mean"]


def test_a_number_of_processes_that_does_not_divide_the_batch_is_refused_once(
    command, datasets, tmp_path, monkeypatch
):
    """By every process, in a line of the first of each machine."""
    monkeypatch.setattr("vireid.host.join_process_group", lambda device: None)
    monkeypatch.setattr("fastreid.utils.comm.get_world_size", lambda: 3)
    monkeypatch.setattr("fastreid.utils.comm.all_gather", lambda found: [found] * 3)
    config = ["--config-file", PROJECTS / "PMCM/configs/sysu.yml"]
    said = []
    for rank in range(3):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        status, _, error = command("train", *config, *tiny_options(), "OUTPUT_DIR", tmp_path)
        assert status == 2
        said += [line for line in error.splitlines() if line.startswith("error:")]
    (line,) = said
    assert "IMS_PER_BATCH is 8" in line and "NUM_INSTANCE (2) x 3 processes = 12, such as 12" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["SOLVER.BASE_RL", "1"], "error: unknown config key SOLVER.BASE_RL"),
        (["MODEL.WEIGHTS", "none.pth"], "error: MODEL.WEIGHTS: no file none.pth"),
    ],
)
def test_an_error_of_the_user_is_one_line(command, datasets, tmp_path, options, message):
    config = ["--config-file", PROJECTS / "VIReID/configs/sysu.yml", "--eval-only"]
    status, output, error = command("train", *config, *tiny_options(), *options, "OUTPUT_DIR", tmp_path)
    assert status == 2
    assert error.strip().splitlines()[-1].startswith(message)
    assert "Traceback" not in output + error
