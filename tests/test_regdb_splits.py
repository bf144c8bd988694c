"""tools/regdb_splits.py: which splits it runs, and their mean. A stand-in trains, but in the last test."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import PROJECTS

CONFIG = PROJECTS / "VIReID" / "configs" / "regdb.yml"
ROWS = ("visible-to-infrared", "infrared-to-visible")


@pytest.fixture
def splits(run_tool, monkeypatch, tmp_path):
    """``splits(*arguments)``: exit status, output and errors; ``splits.started`` are the commands run."""
    run = SimpleNamespace(started=[], fail=set())

    def train(command, **kwargs):
        options = command[command.index("--config-file") + 2 :]
        options = [part for part in options if part != "--eval-only"]
        settings = dict(zip(options[::2], options[1::2]))
        split = int(settings["DATASETS.REGDB.SPLIT"])
        run.started.append((split, "--eval-only" in command))
        if split in run.fail:
            return SimpleNamespace(returncode=1)
        folder = Path(settings["OUTPUT_DIR"])
        if "--eval-only" in command:
            assert Path(settings["MODEL.WEIGHTS"]).is_file()
            folder = folder / "eval"
            folder.mkdir(exist_ok=True)
        else:
            (folder / "model_final.pth").touch()
            (folder / "model_best.pth").touch()
        figures = {"Rank-1": 50.0 + split, "mAP": 40.0}
        record = {"epoch": 3, "selected_by": "Rank-1"}
        record["results"] = {"RegDB": {row: {"mean": figures} for row in ROWS}}
        (folder / "results.json").write_text(json.dumps(record))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", train)

    def call(*arguments):
        run.started.clear()
        return run_tool("regdb_splits", "--config-file", CONFIG, "--output", tmp_path / "out", *arguments)

    call.run = run
    return call


def test_the_mean_is_over_all_ten_splits(splits, tmp_path):
    status, output, _ = splits()
    assert status == 0
    assert sorted(splits.run.started) == [(split, False) for split in range(1, 11)]
    assert "the last epoch of each" in output
    record = json.loads((tmp_path / "out" / "splits.json").read_text())
    assert [row["row"] for row in record["rows"]] == list(ROWS)
    # 51 to 60: mean 55.5, standard deviation 2.87.
    assert record["rows"][0]["Rank-1"] == "55.50 ± 2.87" and record["rows"][0]["splits"] == "10"
    assert set(record["splits"]) == {str(split) for split in range(1, 11)}


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
