"""Which models and results a run keeps, whatever has ended it, and whatever its settings were before."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from training import train
from vireid.errors import DatasetError

SHORT = {"SOLVER__MAX_EPOCH": 2, "DATALOADER__MAX_BATCHES_PER_EPOCH": 1, "DATASETS__TRIALS": 1}
ALL, INDOOR = "all-search single-shot", "indoor-search multi-shot"


@pytest.fixture
def evaluations(monkeypatch):
    """The epochs after which the trainer evaluates; what it finds are given figures."""
    figures = []

    def evaluate(cfg, model, *, epoch, test_sets, **about):
        figures.append(epoch)
        value = (10.0, 30.0, 20.0, 25.0)[epoch]
        setting = {"Rank-1": 90.0 - value, "mAP": value / 2}
        record = {**about, "epoch": epoch, "results": {"value": value}}
        (Path(cfg.OUTPUT_DIR) / "results.json").write_text(json.dumps(record))
        return {"SYSUMM01": {"all-search single-shot": setting, "indoor-search multi-shot": {"mAP": value}}}

    monkeypatch.setattr("vireid.engine.trainer.evaluate_model", evaluate)
    return figures


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("indoor-search multi-shot/mAP", [10.0, 30.0, 20.0, 25.0], 1),
        ("Rank-1", [80.0, 60.0, 70.0, 65.0], 0),
    ],
)
def test_the_best_checkpoint_is_that_of_the_best_evaluation(
    datasets, tmp_path, evaluations, metric, values, best
):
    options = {"SOLVER__MAX_EPOCH": 4, "DATALOADER__MAX_BATCHES_PER_EPOCH": 1}
    run = train(tmp_path, TEST__BEST_METRIC=metric, **options)
    name = f"SYSUMM01/{metric if '/' in metric else f'all-search single-shot/{metric}'}"
    assert [line[name] for line in run.written if name in line] == values
    content = torch.load(tmp_path / "model_best.pth", weights_only=True)
    assert content["epoch"] == best
    assert content["metric"] == content["best_metric"] == values[best]
    final = torch.load(tmp_path / "model_final.pth", weights_only=True)
    assert (final["epoch"], final["best_metric"]) == (3, values[best])
    last, first = (
        json.loads((tmp_path / name).read_text()) for name in ("results.json", "results_best.json")
    )
    assert (last["which"], last["epoch"]) == ("last", 3)
    assert (first["which"], first["epoch"], first["selected_by"]) == ("best", best, metric)
    assert (last["results"]["value"], first["results"]["value"]) == (25.0, (10.0, 30.0)[best])
    log = (tmp_path / "log.txt").read_text()
    assert f"last epoch (3): {metric} {values[3]:.2f}, in model_final.pth and results.json\n" in log
    chosen = f"best epoch ({best}), chosen on the test set: {metric} {values[best]:.2f}, in model_best.pth"
    assert f"{chosen} and results_best.json\n" in log


@pytest.mark.parametrize(("period", "epochs"), [(0, [2]), (-1, []), (1, [0, 1, 2]), (2, [1, 2])])
def test_evaluation_periods(datasets, tmp_path, evaluations, period, epochs):
    options = {"SOLVER__MAX_EPOCH": 3, "DATALOADER__MAX_BATCHES_PER_EPOCH": 1}
    train(tmp_path, TEST__EVAL_PERIOD=period, **options)
    assert evaluations == epochs


def stored(folder, name):
    return torch.load(folder / f"{name}.pth", weights_only=True)


def results(folder, name="results.json"):
    return json.loads((folder / name).read_text())


@pytest.fixture(scope="module")
def whole(generated_root, tmp_path_factory):
    """The folder of a run of two epochs, which is not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(generated_root))
        return train(tmp_path_factory.mktemp("whole") / "run", **SHORT).folder


@pytest.fixture
def run(whole, datasets, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(whole, tmp_path / "run")


def test_a_best_figure_of_another_metric_is_looked_for_anew(datasets, tmp_path, evaluations):
    """By Rank-1 it is 80, of epoch 0. The mAP of another row never reaches that."""
    train(tmp_path, **SHORT, TEST__BEST_METRIC="Rank-1")
    metric = f"{INDOOR}/mAP"
    train(tmp_path, resume=True, **{**SHORT, "SOLVER__MAX_EPOCH": 4}, TEST__BEST_METRIC=metric)
    found = [stored(tmp_path, name) for name in ("model_best", "model_best_1")]
    assert [(content["epoch"], content["metric"]) for content in found] == [(3, 25.0), (0, 80.0)]
    assert results(tmp_path, "results_best.json")["epoch"] == 3
    assert results(tmp_path, "results_best_1.json")["epoch"] == 0
    log = (tmp_path / "log.txt").read_text()
    change = f"TEST.BEST_METRIC 'SYSUMM01/{ALL}/Rank-1' -> 'SYSUMM01/{metric}'"
    assert f"has another meaning ({change}): its model is kept as model_best_1.pth" in log


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"TEST__METRIC": "euclidean"}, "TEST.METRIC"),
        ({"TEST__FLIP__ENABLED": True}, "TEST.FLIP.ENABLED"),
        ({"DATASETS__TRIALS": 2}, f"test set SYSUMM01, {ALL}"),
        ({"DATASETS__TESTS": ["LLCM"]}, "TEST.BEST_METRIC"),
        ({"INPUT__SIZE_TEST": [32, 32]}, "INPUT.SIZE_TEST"),
    ],
)
def test_settings_that_give_the_best_figure_another_meaning(run, caplog, changes, key):
    train(run, resume=True, **{**SHORT, **changes})
    (warning,) = [line for line in caplog.messages if "has another meaning" in line]
    assert f"({key} " in warning
    assert (run / "model_best_1.pth").is_file() and (run / "results_best_1.json").is_file()
    best = results(run, "results_best.json")
    assert best == {**results(run), "which": "best", "selected_by": "Rank-1"}
    assert stored(run, "model_best")["results"] == best


def test_settings_that_leave_the_best_figure_s_meaning(run, whole):
    changes = {"TEST__ROC__ENABLED": True, "TEST__IMS_PER_BATCH": 7, "DATALOADER__NUM_WORKERS": 1}
    changes |= {"TEST__RERANK__ENABLED": True, "TEST__RERANK__K1": 5, "TEST__RERANK__K2": 2}
    train(run, resume=True, **SHORT, **changes, TEST__EVAL_PERIOD=-1)
    assert not (run / "model_best_1.pth").exists()
    assert (run / "model_best.pth").read_bytes() == (whole / "model_best.pth").read_bytes()


def test_the_parameters_of_a_re_ranker_belong_to_a_re_ranked_figure(datasets, tmp_path):
    options = {**SHORT, "TEST__RERANK__ENABLED": True, "TEST__RERANK__K2": 2, "SOLVER__MAX_EPOCH": 1}
    options["TEST__BEST_METRIC"] = f"{ALL} + k-reciprocal/mAP"
    train(tmp_path, **options, TEST__RERANK__K1=5)
    train(tmp_path, resume=True, **options, TEST__RERANK__K1=5)
    assert not (tmp_path / "model_best_1.pth").exists()
    train(tmp_path, resume=True, **options, TEST__RERANK__K1=4)
    assert (tmp_path / "model_best_1.pth").exists()


def test_results_of_the_best_epoch_are_those_of_its_model(run, whole):
    """As after a kill between the two files, or after one that came before either of them."""
    (run / "results_best.json").write_text(json.dumps({**results(run), "epoch": 77}))
    train(run, resume=True, **SHORT, TEST__EVAL_PERIOD=-1)
    assert results(run, "results_best.json") == results(whole, "results_best.json")
    (run / "model_best.pth").unlink()
    train(run, resume=True, **SHORT, TEST__EVAL_PERIOD=-1)
    assert not (run / "results_best.json").exists()


def test_a_last_model_that_a_kill_has_left_out_is_written(run, whole):
    (run / "model_final.pth").rename(run / "model_best.pth")
    assert stored(run, "model_best")["epoch"] == 1
    train(run, resume=True, **SHORT)
    found, expected = stored(run, "model_final"), stored(whole, "model_final")
    assert found["epoch"] == 1 and found["metric"] == expected["metric"]
    assert all(torch.equal(value, expected["model"][name]) for name, value in found["model"].items())


def test_a_model_of_the_period_that_a_kill_has_left_out_is_written(run):
    (run / "model_0000.pth").rename(run / "model_best.pth")
    (run / "model_final.pth").unlink()
    train(run, resume=True, **SHORT)
    assert (stored(run, "model_0000")["epoch"], stored(run, "model_final")["epoch"]) == (0, 1)


@pytest.mark.parametrize(
    ("period", "within", "place"), [(1, True, (1, None)), (0, True, (2, 2)), (1, False, (1, None))]
)
def test_a_run_of_fewer_epochs_than_are_trained_has_a_last_model(datasets, tmp_path, period, within, place):
    """The one of their end, where there is one; else the newest."""
    options = {"SOLVER__MAX_EPOCH": 3, "DATALOADER__MAX_BATCHES_PER_EPOCH": 3, "TEST__EVAL_PERIOD": -1}
    options |= {"SOLVER__CHECKPOINT_PERIOD": period, "SOLVER__CHECKPOINT_MINUTES": 0.0}
    trained = train(tmp_path, **options)
    (tmp_path / "model_final.pth").unlink()
    if within:
        trained.trainer.checkpoints.save_within(2, 2, drawing=False)
    train(tmp_path, resume=True, **{**options, "SOLVER__MAX_EPOCH": 2})
    final = stored(tmp_path, "model_final")
    assert (final["epoch"], final.get("step")) == place


def test_a_test_set_that_shrinks_under_a_run_ends_it(generated_root, tmp_path, monkeypatch):
    """Without half of its queries, its figures would be others."""
    root = shutil.copytree(generated_root, tmp_path / "data", ignore=lambda *_: ["RegDB", "LLCM"])
    monkeypatch.setenv("FASTREID_DATASETS", str(root))

    def shrink(*arguments):
        for path in root.glob("SYSU-MM01/cam3/*/*.jpg"):
            path.unlink()

    monkeypatch.setattr("vireid.engine.checkpoints.saving.RunCheckpoints.check_finite", shrink)
    with pytest.raises(DatasetError, match=r"cam3.*No such file"):
        train(tmp_path / "run", **{**SHORT, "SOLVER__MAX_EPOCH": 1})
    assert not (tmp_path / "run/results.json").exists()


def test_results_name_the_test_set_that_they_are_of(whole, datasets, tmp_path):
    named = results(whole)["test_sets"]["SYSUMM01"]
    assert len(set(named.values())) == 4 and {len(digest) for digest in named.values()} == {16}
    assert results(whole, "results_best.json")["test_sets"]["SYSUMM01"] == named
    moved = shutil.copytree(datasets, tmp_path / "moved", ignore=lambda *_: ["RegDB", "LLCM"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(moved))
        options = {**SHORT, "SOLVER__MAX_EPOCH": 1}
        train(tmp_path / "same", **options)
        assert results(tmp_path / "same")["test_sets"]["SYSUMM01"] == named
        for folder in moved.glob("SYSU-MM01/cam6/*"):
            next(folder.glob("*.jpg")).unlink()
        train(tmp_path / "other", **options)
        other = results(tmp_path / "other")["test_sets"]["SYSUMM01"]
    assert not set(named.values()) & set(other.values())
