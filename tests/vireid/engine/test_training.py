"""Training and evaluation end to end, on generated data in each layout."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from configs import PROJECTS, TINY, tiny_config
from vireid.engine import VIReIDTrainer, evaluate_weights, setup
from vireid.engine.evaluation import evaluate_dataset
from vireid.engine.loss_log import LossLog
from vireid.engine.step import OptimizationStep
from vireid.errors import CheckpointError, ConfigError, DatasetError, TrainingError, UserError

TRAIN_NET = Path(__file__).parents[3] / "tools" / "train_net.py"
METRICS = {"Rank-1", "Rank-5", "Rank-10", "Rank-20", "mAP", "mINP"}

SETTINGS = {
    "sysu": {
        "all-search single-shot",
        "all-search multi-shot",
        "indoor-search single-shot",
        "indoor-search multi-shot",
    },
    "regdb": {"visible-to-infrared", "infrared-to-visible"},
    "llcm": {"visible-to-infrared", "infrared-to-visible"},
}


def trained(tmp_path, file="VIReID/configs/sysu.yml", resume=False, **overrides):
    overrides = {
        "MODEL__HEADS__NUM_CLASSES": 0,
        "MODEL__HEADS__PARTS__COUNT": 2,
        "OUTPUT_DIR": str(tmp_path / "run"),
        "SOLVER__MAX_EPOCH": 1,
        "SOLVER__WARMUP_EPOCHS": 0,
        "SOLVER__WARMUP_ITERS": 0,
        "SOLVER__CHECKPOINT_PERIOD": 1,
        "TEST__EVAL_PERIOD": 1,
        "DATALOADER__MAX_BATCHES_PER_EPOCH": 4,
        "DATASETS__TRIALS": 2,
        "MODEL__MDA__STAGES": ["auto"],
        "TEST__MSER__K1": 5,
        "TEST__MSER__K2": 3,
        **overrides,
    }
    cfg = setup(tiny_config(file, **overrides), Namespace(config_file="", eval_only=False))
    trainer = VIReIDTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    return trainer, trainer.train()


@pytest.mark.parametrize("project", ["VIReID", "PMCM", "MCJA"])
@pytest.mark.parametrize("layout", ["sysu", "regdb", "llcm"])
def test_each_layout_trains_an_epoch_and_eval_only_repeats_its_figures(datasets, tmp_path, project, layout):
    trainer, results = trained(tmp_path, f"{project}/configs/{layout}.yml")
    (name, settings), *others = results.items()
    assert others == []
    assert set(settings) == SETTINGS[layout]
    assert all(set(metrics) == METRICS for metrics in settings.values())
    assert all(0 <= value <= 100 for metrics in settings.values() for value in metrics.values())

    output = tmp_path / "run"
    first = json.loads((output / "results.json").read_text())
    trials = first["results"][name][next(iter(settings))]["trials"]
    assert len(trials) == (1 if layout == "regdb" else 2)
    assert {"config.yaml", "log.txt", "metrics.json", "model_best.pth", "model_final.pth"} <= set(
        os.listdir(output)
    )
    assert any(file.startswith("events.out.tfevents") for file in os.listdir(output))

    cfg = trainer.cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(output / "model_final.pth")
    cfg.MODEL.HEADS.NUM_CLASSES = 0
    assert evaluate_weights(cfg) == results
    again = json.loads((output / "results.json").read_text())
    assert again["results"] == first["results"]


def test_the_same_seed_repeats_a_run_and_another_does_not(datasets, tmp_path):
    def weights(folder, seed, workers):
        trainer, _ = trained(
            tmp_path / folder, "PMCM/configs/sysu.yml", SEED=seed, DATALOADER__NUM_WORKERS=workers
        )
        return trainer.model.state_dict()

    first, second, other = weights("a", 3, 0), weights("b", 3, 2), weights("c", 4, 0)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["backbone.conv1.visible.weight"], other["backbone.conv1.visible.weight"])


def test_a_resumed_run_ends_as_an_uninterrupted_one(datasets, tmp_path):
    whole, whole_results = trained(tmp_path / "whole", "PMCM/configs/sysu.yml", SOLVER__MAX_EPOCH=3)

    trained(tmp_path / "parts", "PMCM/configs/sysu.yml", SOLVER__MAX_EPOCH=3)
    run = tmp_path / "parts" / "run"
    (run / "model_final.pth").unlink()
    (run / "last_checkpoint").write_text("model_0001.pth")  # as if killed in the last epoch
    resumed, resumed_results = trained(
        tmp_path / "parts", "PMCM/configs/sysu.yml", resume=True, SOLVER__MAX_EPOCH=3
    )
    assert resumed.start_epoch == 2
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.model.state_dict().items())
    assert resumed_results == whole_results


def test_a_run_is_not_overwritten_by_another(datasets, tmp_path):
    trained(tmp_path)
    with pytest.raises(ConfigError, match=r"holds model_best.pth, model_final.pth of another run.*--resume"):
        trained(tmp_path)
    (tmp_path / "run" / "last_checkpoint").write_text("model_0009.pth")  # names no file
    with pytest.raises(ConfigError, match="last_checkpoint names"):
        trained(tmp_path, resume=True)


def test_machines_that_find_different_checkpoints_do_not_resume(datasets, tmp_path, monkeypatch):
    trained(tmp_path)
    monkeypatch.setattr("fastreid.utils.comm.all_gather", lambda found: [found, ""])
    with pytest.raises(ConfigError, match=r"find .*model_final.pth and nothing in .*share the folder"):
        trained(tmp_path, resume=True, SOLVER__MAX_EPOCH=2)


def test_an_evaluation_that_fails_does_not_lose_the_epoch(datasets, tmp_path, monkeypatch):
    evaluations = []

    def fail_the_second_time(*args, **kwargs):
        evaluations.append(args)
        if len(evaluations) == 2:
            raise DatasetError("an image cannot be read")
        return evaluate_dataset(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("vireid.engine.evaluation.evaluate_dataset", fail_the_second_time)
        with pytest.raises(DatasetError, match="an image cannot be read"):
            trained(tmp_path, SOLVER__MAX_EPOCH=2, SOLVER__CHECKPOINT_PERIOD=0)
    best = torch.load(tmp_path / "run" / "model_best.pth", weights_only=True)
    saved = torch.load(tmp_path / "run" / "model_0001.pth", weights_only=True)
    assert (best["epoch"], saved["epoch"]) == (0, 1)
    assert saved["best_metric"] == best["metric"]
    trainer, results = trained(tmp_path, resume=True, SOLVER__MAX_EPOCH=2)
    assert trainer.start_epoch == 2
    assert results["SYSUMM01"]


def test_a_resumed_run_follows_a_changed_rate(datasets, tmp_path):
    trained(tmp_path, SOLVER__BASE_LR=0.01, TEST__EVAL_PERIOD=-1)
    trained(
        tmp_path,
        resume=True,
        SOLVER__MAX_EPOCH=3,
        SOLVER__STEPS=[2],
        SOLVER__BASE_LR=0.5,
        TEST__EVAL_PERIOD=-1,
    )
    written = [json.loads(line) for line in (tmp_path / "run" / "metrics.json").read_text().splitlines()]
    rates = {line["iteration"]: line["lr"] for line in written if "lr" in line}
    heads = 10 if max(rates.values()) > 1 else 1  # the largest group may be the heads'
    assert rates[7] == pytest.approx(0.5 * heads)
    assert rates[11] == pytest.approx(0.05 * heads)


def test_resuming_a_finished_run_evaluates_it(datasets, tmp_path):
    _, results = trained(tmp_path)
    trainer, again = trained(tmp_path, resume=True)
    assert trainer.start_epoch == 1
    assert again == results


def test_the_best_checkpoint_is_that_of_the_best_evaluation(datasets, tmp_path):
    trained(tmp_path, SOLVER__MAX_EPOCH=4, TEST__BEST_METRIC="indoor-search multi-shot/mAP")
    written = [json.loads(line) for line in (tmp_path / "run" / "metrics.json").read_text().splitlines()]
    name = "SYSUMM01/indoor-search multi-shot/mAP"
    figures = [line[name] for line in written if name in line]
    assert len(figures) == 4
    best = torch.load(tmp_path / "run" / "model_best.pth", weights_only=True)
    assert best["metric"] == best["best_metric"] == max(figures)
    assert best["epoch"] == figures.index(max(figures))
    final = torch.load(tmp_path / "run" / "model_final.pth", weights_only=True)
    assert final["best_metric"] == max(figures)


@pytest.mark.parametrize(("period", "evaluations"), [(0, 1), (-1, 0), (2, 2)])
def test_evaluation_periods(datasets, tmp_path, period, evaluations):
    calls = []

    class Counting(VIReIDTrainer):
        def evaluate(self):
            calls.append(self.epoch)
            return super().evaluate()

    cfg = tiny_config(
        MODEL__HEADS__NUM_CLASSES=0,
        OUTPUT_DIR=str(tmp_path),
        SOLVER__MAX_EPOCH=3,
        TEST__EVAL_PERIOD=period,
        DATALOADER__MAX_BATCHES_PER_EPOCH=1,
        DATASETS__TRIALS=1,
    )
    trainer = Counting(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    assert len(calls) == evaluations


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"TEST__BEST_METRIC": "all-search/mAP"},
            "'all-search/mAP'; the settings are SYSUMM01/all-search single",
        ),
        (
            {"TEST__RERANK__ENABLED": True, "TEST__RERANK__K1": 999},
            "TEST.RERANK.K1 is 999; all-search single",
        ),
        ({"TEST__RERANKER": "MSER", "TEST__MSER__K1": 999}, "SYSUMM01: TEST.MSER.K1 is 999; all-search"),
        ({"TEST__RERANKER": "MSER", "TEST__AQE__ENABLED": True}, "asks for another re-ranker"),
        ({"DATASETS__TESTS": ["Market1501"]}, "Market1501"),
    ],
)
def test_what_an_evaluation_would_fail_at_is_found_before_training(datasets, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        trained(tmp_path, **overrides)
    assert not (tmp_path / "run" / "model_final.pth").exists()


def test_weights_of_another_split_are_no_start_either(datasets, tmp_path):
    trained(tmp_path, "VIReID/configs/regdb.yml", DATASETS__REGDB__SPLIT=2, TEST__EVAL_PERIOD=-1)
    weights = str(tmp_path / "run" / "model_final.pth")
    with pytest.raises(CheckpointError, match="trained on RegDB split 2, but the config says 3"):
        trained(
            tmp_path / "other", "VIReID/configs/regdb.yml", DATASETS__REGDB__SPLIT=3, MODEL__WEIGHTS=weights
        )


def test_another_split_of_regdb_is_refused(datasets, tmp_path):
    trainer, _ = trained(tmp_path, "VIReID/configs/regdb.yml", DATASETS__REGDB__SPLIT=2)
    cfg = trainer.cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(tmp_path / "run" / "model_final.pth")
    cfg.DATASETS.REGDB.SPLIT = 3
    with pytest.raises(CheckpointError, match="trained on RegDB split 2, but the config says 3"):
        evaluate_weights(cfg)


def test_a_loss_that_blows_up_names_iteration_losses_and_checkpoint(datasets, tmp_path):
    trained(tmp_path, SOLVER__MAX_EPOCH=1, SOLVER__BASE_LR=1e-3)
    intact = (tmp_path / "run" / "model_final.pth").read_bytes()
    diverging = {"SOLVER__MAX_EPOCH": 20, "SOLVER__BASE_LR": 1e30}
    message = r"iteration \d+ \(epoch \d\): a loss is not finite: loss_ce .*model_final.pth"
    with pytest.raises(TrainingError, match=message):
        trained(tmp_path, resume=True, TEST__EVAL_PERIOD=-1, SOLVER__CHECKPOINT_PERIOD=0, **diverging)
    assert (tmp_path / "run" / "model_final.pth").read_bytes() == intact


def never_waiting(monkeypatch):
    """As on a GPU: losses are read at the end of an epoch, and every 200 iterations."""
    build = OptimizationStep.__init__

    def without_waiting(self, *arguments):
        build(self, *arguments)
        self.waits = False

    monkeypatch.setattr(OptimizationStep, "__init__", without_waiting)


def test_losses_read_once_an_epoch_are_logged_as_those_read_in_every_step(datasets, tmp_path, monkeypatch):
    def logged(folder):
        trainer, _ = trained(tmp_path / folder, "PMCM/configs/sysu.yml", SOLVER__MAX_EPOCH=2)
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
    trained(tmp_path, SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=-1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.pth")}
    message = r"iteration 5 \(epoch 1\): a loss is not finite: loss_ce .*model_final.pth"
    with pytest.raises(TrainingError, match=message):
        trained(tmp_path, resume=True, TEST__EVAL_PERIOD=1, SOLVER__MAX_EPOCH=3, SOLVER__BASE_LR=1e30)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.pth")} == before


def test_weights_that_the_last_step_of_an_epoch_spoils_are_not_saved(datasets, tmp_path, monkeypatch):
    step = OptimizationStep.__call__

    def spoiling(self, batch):
        losses = step(self, batch)
        self.model.heads.weight.data[0, 0] = float("inf")
        return losses

    monkeypatch.setattr(OptimizationStep, "__call__", spoiling)
    message = r"epoch 0: the weights are not finite after its last iteration; there is no checkpoint yet"
    with pytest.raises(TrainingError, match=message):
        trained(tmp_path, DATALOADER__MAX_BATCHES_PER_EPOCH=1)
    assert not list((tmp_path / "run").glob("*.pth"))


def test_flipped_images_are_averaged_at_test_time(datasets, tmp_path):
    trainer, plain = trained(tmp_path)
    cfg = trainer.cfg.clone()
    cfg.defrost()
    cfg.TEST.FLIP.ENABLED = True
    assert VIReIDTrainer.test(cfg, trainer.model) != plain


def test_the_toolkits_test_options_work(datasets, tmp_path):
    """AQE, RERANK, ROC and METRIC against the toolkit's own functions on the same features."""
    from fastreid.evaluation.query_expansion import aqe
    from fastreid.utils.compute_dist import compute_jaccard_distance

    from vireid.data import build_dataset, build_test_loader
    from vireid.engine.extraction import extract_features
    from vireid.evaluation import rank_metrics

    trainer, plain = trained(tmp_path, TEST__EVAL_PERIOD=0)
    cfg = trainer.cfg.clone()
    cfg.defrost()
    dataset = build_dataset(cfg, "SYSUMM01")
    setting = dataset.settings(1)[0]
    trial = setting.trials[0]
    features = extract_features(trainer.model, build_test_loader(cfg, dataset.test))["image"]
    pids = torch.tensor([item.pid for item in dataset.test])

    cfg.TEST.AQE.ENABLED = cfg.TEST.RERANK.ENABLED = cfg.TEST.ROC.ENABLED = True
    cfg.TEST.AQE.QE_K, cfg.TEST.RERANK.K1, cfg.TEST.RERANK.K2 = 3, 6, 3
    results = VIReIDTrainer.test(cfg, trainer.model)["SYSUMM01"][setting.name]
    ours = json.loads((tmp_path / "run" / "results.json").read_text())["results"]["SYSUMM01"][setting.name]

    expanded = aqe(features[trial.query], features[trial.gallery], 1, 3, 3.0)
    expanded = [torch.nn.functional.normalize(part) for part in expanded]
    jaccard = compute_jaccard_distance(torch.cat(expanded), k1=6, k2=3, search_option=3)
    count = len(trial.query)
    dist = 0.7 * jaccard[:count, count:] + 0.3 * (1 - expanded[0] @ expanded[1].T).numpy()
    expected = rank_metrics(
        dist, pids[trial.query], pids[trial.gallery], exclude=trial.exclude(), unique_pids=True
    )
    for name, value in expected.percent().items():
        assert ours["trials"][0][name] == pytest.approx(value, abs=1e-6), name
    assert {"TPR@FPR=1e-04", "TPR@FPR=1e-03", "TPR@FPR=1e-02"} < set(results)
    assert results != plain["SYSUMM01"][setting.name]

    cfg.TEST.AQE.ENABLED = cfg.TEST.RERANK.ENABLED = cfg.TEST.ROC.ENABLED = False
    cfg.TEST.METRIC = "euclidean"
    VIReIDTrainer.test(cfg, trainer.model)
    ours = json.loads((tmp_path / "run" / "results.json").read_text())["results"]["SYSUMM01"][setting.name]
    dist = torch.cdist(features[trial.query].double(), features[trial.gallery].double())
    expected = rank_metrics(
        dist, pids[trial.query], pids[trial.gallery], exclude=trial.exclude(), unique_pids=True
    )
    for name, value in expected.percent().items():
        assert ours["trials"][0][name] == pytest.approx(value, abs=1e-6), name


def run_train_net(*arguments, launcher=(), **environment):
    options = [str(item) for pair in TINY.items() if pair[0] != "MODEL.HEADS.NUM_CLASSES" for item in pair]
    return subprocess.run(
        [sys.executable, *launcher, str(TRAIN_NET), *arguments, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def torchrun(processes):
    return "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"


def test_two_processes_train_as_one(datasets, tmp_path):
    config = ["--config-file", str(PROJECTS / "PMCM/configs/sysu.yml")]
    options = ["MODEL.HEADS.PARTS.COUNT", "2", "SOLVER.MAX_EPOCH", "1"]
    options += ["DATALOADER.MAX_BATCHES_PER_EPOCH", "3"]
    run = run_train_net(
        *config,
        *options,
        "OUTPUT_DIR",
        str(tmp_path),
        launcher=torchrun(2),
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "World size: 2" in (tmp_path / "log.txt").read_text()
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert set(results["SYSUMM01"]) == SETTINGS["sysu"]

    weights = ["MODEL.WEIGHTS", str(tmp_path / "model_final.pth"), "OUTPUT_DIR", str(tmp_path)]
    alone = run_train_net(*config, "--eval-only", "MODEL.HEADS.PARTS.COUNT", "2", *weights)
    assert alone.returncode == 0, alone.stderr[-3000:]
    again = json.loads((tmp_path / "eval" / "results.json").read_text())["results"]
    assert again == results


def test_a_number_of_processes_that_does_not_divide_the_batch_is_refused_in_one_line(datasets, tmp_path):
    config = ["--config-file", str(PROJECTS / "PMCM/configs/sysu.yml"), "OUTPUT_DIR", str(tmp_path)]
    run = run_train_net(*config, launcher=torchrun(3))
    assert run.returncode != 0
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("error:")]
    assert "IMS_PER_BATCH is 8" in line and "NUM_INSTANCE (2) x 3 processes = 12, such as 12" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["SOLVER.BASE_RL", "1"], "error: unknown config key SOLVER.BASE_RL"),
        (["MODEL.WEIGHTS", "none.pth"], "error: MODEL.WEIGHTS: no file none.pth"),
    ],
)
def test_an_error_of_the_user_is_one_line(datasets, tmp_path, options, message):
    config = ["--config-file", str(PROJECTS / "VIReID/configs/sysu.yml"), "--eval-only"]
    run = run_train_net(*config, *options, "OUTPUT_DIR", str(tmp_path))
    assert run.returncode == 2
    assert run.stderr.strip().splitlines()[-1].startswith(message)
    assert "Traceback" not in run.stdout + run.stderr
