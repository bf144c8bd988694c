"""vireid splits: which splits it runs, and their mean. A stand-in trains, but in the last test."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import PROJECTS, TINY
from stand_in_processes import replace_processes

CONFIG = PROJECTS / "VIReID" / "configs" / "regdb.yml"
ROWS = ("visible-to-infrared", "infrared-to-visible")


@pytest.fixture
def splits(command, monkeypatch, tmp_path):
    """``splits(*arguments)``: exit status, output and errors; ``splits.started`` are the commands run."""
    run = SimpleNamespace(started=[], fail=set(), interrupt=set(), settings={})

    def work(process):
        settings, folder, evaluates = process.settings, process.folder, process.evaluates
        split = int(settings["DATASETS.REGDB.SPLIT"])
        run.started.append((split, evaluates))
        run.settings = settings
        if split in run.interrupt:
            raise KeyboardInterrupt
        if run.interrupt:  # one that had started before the interruption was heard of
            assert process.stopped.wait(60)
        if split in run.fail:
            return 1
        if evaluates:
            assert Path(settings["MODEL.WEIGHTS"]).is_file()
            folder = folder / "eval"
            folder.mkdir(exist_ok=True)
        else:
            (folder / "model_final.pth").touch()
            (folder / "model_best.pth").touch()
        figures = {"Rank-1": 50.0 + split, "mAP": 40.0}
        record = {"epoch": 3, **({"selected_by": "Rank-1"} if evaluates else {})}
        record["results"] = {"RegDB": {row: {"mean": figures} for row in ROWS}}
        (folder / "results.json").write_text(json.dumps(record))
        record["results"]["RegDB"] = {row: {"mean": {**figures, "mAP": 45.0}} for row in ROWS}
        record["selected_by"] = "mAP"
        (folder / "results_best.json").write_text(json.dumps(record))
        return 0

    replace_processes(monkeypatch, work)

    def call(*arguments):
        run.started.clear()
        return command("splits", "--config-file", CONFIG, "--output", tmp_path / "out", *arguments)

    call.run = run
    return call


def test_the_mean_is_over_all_ten_splits(splits, tmp_path):
    status, output, _ = splits()
    assert status == 0
    assert sorted(splits.run.started) == [(split, False) for split in range(1, 11)]
    assert "the last epoch of each" in output
    record = json.loads((tmp_path / "out" / "splits.json").read_text())
    assert list(record["rows"]) == list(ROWS)
    # 51 to 60: mean 55.5, standard deviation 2.87.
    assert record["rows"][ROWS[0]]["Rank-1"] == pytest.approx({"mean": 55.5, "std": (55 / 6) ** 0.5})
    assert all(f"| {row} | 10 " in " ".join(output.split()) for row in ROWS) and "| 55.50 ± 3.03 |" in output
    assert set(record["splits"]) == {str(split) for split in range(1, 11)}


def test_the_best_epochs_of_a_training_are_tabulated_without_evaluating_again(splits):
    splits("--splits", 3, 4)
    status, output, _ = splits("--splits", 3, 4, "--epoch", "best")
    assert status == 0 and splits.run.started == []
    assert "the best epoch of each, chosen on its test set by mAP" in output and "45.00 ± 0.00" in output


def test_a_finished_split_is_not_repeated_and_a_failed_one_is_named(splits):
    splits.run.fail.add(2)
    status, output, error = splits("--splits", 1, 2)
    assert status == 1 and "failed: see" in error and "SPLIT-2" in error
    assert "RegDB, splits 1;" in output and "51.00 " in output and "±" not in output
    splits.run.fail.clear()
    assert splits("--splits", 1, 2)[0] == 0
    assert splits.run.started == [(2, False)]
    assert splits("--splits", 1, 2, "--options", "SOLVER.BASE_LR", 0.5)[0] == 0
    assert sorted(splits.run.started) == [(1, False), (2, False)]


def test_the_best_epochs_are_evaluated_with_the_split_they_were_trained_on(splits):
    status, _, error = splits("--splits", 3, "--eval-only", "best")
    assert status == 2 and "there is no" in error and "model_best.pth; train the split first" in error
    splits("--splits", 3)
    status, output, _ = splits("--splits", 3, "--eval-only", "best")
    assert status == 0 and splits.run.started == [(3, True)]
    assert "the best epoch of each, chosen on its test set by Rank-1" in output


def test_an_evaluation_may_have_settings_that_the_training_had_not(splits):
    assert splits("--splits", 3)[0] == 0
    flipped = ("--eval-options", "TEST.FLIP.ENABLED", "True")
    assert splits("--splits", 3, "--eval-only", "final", *flipped)[0] == 0
    assert splits.run.started == [(3, True)]
    assert splits.run.settings["TEST.FLIP.ENABLED"] == "True"


def test_after_an_interruption_no_other_split_starts(splits):
    splits.run.interrupt.add(1)
    status, _, error = splits()
    assert status == 130 and "interrupted; the same command goes on" in error
    assert len(splits.run.started) <= 2  # another may have started before the first was heard of
    splits.run.interrupt.clear()
    assert splits()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--options", "DATASETS.NAMES", "['LLCM']"], r"DATASETS.NAMES is ['LLCM']; the splits are of RegDB"),
        (["--options", "DATASETS.TESTS", "['LLCM']"], r"DATASETS.TESTS is ['LLCM']; the splits are of RegDB"),
        (["--options", "TEST.EVAL_PERIOD", "-1"], "TEST.EVAL_PERIOD -1 leaves no figures to average"),
        (["--epoch", "best", "--eval-only", "best"], "--epoch is of a training"),
        (["--eval-options", "TEST.FLIP.ENABLED", "True"], "--eval-options goes with --eval-only"),
    ],
)
def test_what_would_leave_no_figures_is_refused_before_any_training(splits, arguments, message):
    status, _, error = splits(*arguments)
    assert status == 2 and message in error
    assert splits.run.started == []


@pytest.mark.full
def test_two_splits_are_trained_tested_and_tested_again(command, datasets, tmp_path):
    """With the true training, on generated data."""
    tiny = {**TINY, "MODEL.HEADS.NUM_CLASSES": 0, "SOLVER.MAX_EPOCH": 1, "SOLVER.WARMUP_EPOCHS": 0}
    tiny |= {"SOLVER.WARMUP_ITERS": 0, "DATALOADER.MAX_BATCHES_PER_EPOCH": 2, "TEST.EVAL_PERIOD": 1}
    options = [str(item) for pair in tiny.items() for item in pair]
    arguments = ["--config-file", CONFIG, "--output", tmp_path, "--splits", 2, 5, "--jobs", 2]
    status, _, error = command("splits", *arguments, "--options", *options)
    assert status == 0, error
    trained = json.loads((tmp_path / "splits.json").read_text())
    assert set(trained["splits"]) == {"2", "5"} and set(trained["rows"]) == set(ROWS)
    for row in ROWS:
        both = [record["results"]["RegDB"][row]["mean"]["mAP"] for record in trained["splits"].values()]
        assert trained["rows"][row]["mAP"]["mean"] == pytest.approx(sum(both) / 2)
        assert trained["rows"][row]["mAP"]["std"] == pytest.approx(abs(both[0] - both[1]) / 2**0.5)
    assert command("splits", *arguments, "--eval-only", "final", "--options", *options)[0] == 0
    assert json.loads((tmp_path / "splits.json").read_text())["rows"] == trained["rows"]
