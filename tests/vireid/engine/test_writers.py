"""What a training reports: the line of the log, the bar, the files of LOGGERS, the curves."""

import csv
import json
import sys
from types import SimpleNamespace

import pytest
from fastreid.utils.events import EventStorage

from training import train
from vireid.engine import writers
from vireid.engine.curves import Curves, draw_curves, read_curves
from vireid.engine.writers import CSVWriter, Printer, ProgressBar
from vireid.errors import ConfigError


@pytest.fixture(scope="module")
def run(generated_root, tmp_path_factory):
    """Two epochs with every logger that is drawn or written here, on a screen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(generated_root))
        options = {"LOGGERS": ["csv", "curves"], "SOLVER__MAX_EPOCH": 2}
        return train(tmp_path_factory.mktemp("run"), DATALOADER__MAX_BATCHES_PER_EPOCH=2, **options)


def test_the_table_has_what_metrics_json_has(run):
    with open(run.folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    read = [{name: float(value) for name, value in row.items() if value} for row in rows]
    assert read == [{name: float(value) for name, value in line.items()} for line in run.written]
    assert {"iteration", "lr", "total_loss", "SYSUMM01/all-search single-shot/mAP"} <= set(rows[0])
    assert len(rows) == 2


def test_tensorboard_is_written_where_it_is_named(run):
    assert not list(run.folder.glob("events.out.tfevents*"))


def test_a_resumed_table_goes_on(tmp_path):
    path = tmp_path / "metrics.csv"
    CSVWriter(path).put(0, {"lr": 0.5})
    resumed = CSVWriter(path)
    resumed.put(1, {"lr": 0.25})
    resumed.put(2, {"lr": 0.125, "mAP": 40.0})
    assert path.read_text() == "iteration,lr,mAP\n0,0.5,\n1,0.25,\n2,0.125,40.0\n"


def test_the_line_of_the_log(caplog, monkeypatch):
    monkeypatch.setattr(writers, "peak_memory", lambda: 700 << 20)
    caplog.set_level("INFO")
    with EventStorage(0) as storage:
        for _ in range(4):
            storage.put_scalars(time=0.5, data_time=0.1, total_loss=2.0, lr=1e-3)
            storage.step()
        storage.epoch = 0  # the toolkit's hooks set it
        Printer(max_iter=25, images=64).write()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "eta: 0:00:10  epoch/iter: 0/4  total_loss: 2  time: 0.5000  128 images/s  data_time: 0.1000  "
        "lr: 1.00e-03  max_mem: 700M"
    )


def test_the_curves_are_those_of_metrics_json(run):
    panels = read_curves(run.folder / "metrics.json")
    assert set(panels["loss"]) == run.losses | {"total_loss"} and set(panels["learning rate"]) == {"lr"}
    assert {name.rpartition("/")[2] for name in panels["percent"]} == {"Rank-1", "mAP"}
    assert panels["loss"]["total_loss"] == [(line["iteration"], line["total_loss"]) for line in run.written]


def test_curves_of_a_resumed_run_have_each_iteration_once(tmp_path):
    lines = [{"iteration": n, "lr": rate} for n, rate in ((3, 1.0), (7, 2.0), (3, 3.0))]
    (tmp_path / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_curves(tmp_path / "metrics.json")["learning rate"] == {"lr": [(3, 3.0), (7, 2.0)]}


def test_the_picture_has_a_panel_for_each_kind_of_curve(run, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure")
    assert (run.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, path, **kwargs: drawn.append(self))
    panels = {"loss": {"a": [(0, 1.0), (1, 2.0)]}, "learning rate": {}, "percent": {"b/mAP": [(1, 50.0)]}}
    draw_curves(panels, tmp_path / "curves.png")
    assert [axis.get_ylabel() for axis in drawn[0].axes] == ["loss", "percent"]
    (line,) = drawn[0].axes[0].lines
    assert line.get_xydata().tolist() == [[0, 1], [1, 2]]


def test_without_matplotlib_a_line_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    caplog.set_level("INFO")
    Curves(tmp_path).after_train()
    assert 'curves.png is not drawn: matplotlib is not installed (pip install ".[plots]")' in caplog.text


def test_wandb_has_the_config_and_every_figure(datasets, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logged, started = [], []
    init = wandb.init

    def record(**settings):
        started.append(settings)
        run = init(**settings)
        log = run.log
        monkeypatch.setattr(
            run, "log", lambda scalars, step: (logged.append((step, scalars)), log(scalars, step))
        )
        return run

    monkeypatch.setattr(wandb, "init", record)
    run = train(tmp_path / "night", LOGGERS=["wandb"], DATALOADER__MAX_BATCHES_PER_EPOCH=2)
    ((step, scalars),) = logged
    assert {"iteration": step, **scalars} == run.written[0]
    assert started[0]["project"] == "fastreid-vi" and started[0]["name"] == "night"
    assert started[0]["config"]["SOLVER"]["MAX_EPOCH"] == 1
    assert list((tmp_path / "night").glob("wandb/offline-run-*/*.wandb"))


def test_a_logger_that_is_not_installed_is_named(datasets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r'LOGGERS names wandb \(.*\): pip install "\.\[wandb\]"'):
        train(tmp_path, LOGGERS=["wandb"])


def test_a_bar_for_each_epoch_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = ProgressBar(images=8)
    bar.trainer = SimpleNamespace(epoch=1, max_epoch=3, iters_per_epoch=2, iter=2)
    bar.before_train()
    bar.before_epoch()
    for bar.trainer.iter in (2, 3):
        bar.after_step()
    bar.after_train()
    shown = capsys.readouterr().err
    assert "epoch 2 of 3" in shown and "/16" in shown and bar.bar.n == 16


def test_no_bar_where_there_is_no_terminal(run, monkeypatch):
    hooks = writers.reporting_hooks(run.trainer.cfg, max_iter=4)
    assert not [hook for hook in hooks if isinstance(hook, ProgressBar)]
