"""Features beside an evaluation, scored again by vireid.evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest

from configs import PROJECTS, TINY, tiny_config
from vireid.data import build_dataset
from vireid.engine.evaluation import evaluate_weights
from vireid.evaluation import SYSUProtocol, evaluate_settings, regdb_settings


def options(**more):
    settings = {**TINY, "DATASETS.TRIALS": 3, **more}
    return [str(item) for pair in settings.items() for item in pair]


def test_saved_features_are_scored_as_the_evaluation_scored_them(command, datasets, tmp_path):
    file = tmp_path / "features.npz"
    config = ["--config-file", "vireid/sysu", "--save-features", file]
    status, _, error = command("evaluate", *config, *options(OUTPUT_DIR=tmp_path))
    assert status == 0, error
    scored = json.loads((tmp_path / "eval" / "results.json").read_text())["results"]["SYSUMM01"]
    saved = np.load(file)
    numbers = [int(Path(path).stem) for path in saved["paths"]]
    for setting, row in scored.items():
        search, shots = setting.split("-search ")
        protocol = SYSUProtocol(
            None, search=search, shots={"single-shot": 1, "multi-shot": 10}[shots], trials=3
        )
        result = protocol.evaluate(saved["features"], saved["pids"], saved["camids"], numbers)
        assert result.trials == row["trials"] and result.mean == row["mean"]


def test_the_file_has_all_test_images_with_their_labels(datasets, tmp_path):
    cfg = tiny_config("VIReID/configs/sysu.yml", OUTPUT_DIR=str(tmp_path), DATASETS__TRIALS=1)
    evaluate_weights(cfg, str(tmp_path / "features.npz"))
    saved, test = np.load(tmp_path / "features.npz"), build_dataset(cfg, "SYSUMM01").test
    assert saved["features"].dtype == np.float32 and len(saved["features"]) == len(test)
    for name, field in (("paths", "path"), ("pids", "pid"), ("camids", "camid"), ("modalities", "modality")):
        assert saved[name].tolist() == [getattr(item, field) for item in test]


def test_several_test_sets_have_a_file_each(datasets, tmp_path):
    cfg = tiny_config(DATASETS__TESTS=["RegDB", "SYSUMM01"], OUTPUT_DIR=str(tmp_path), DATASETS__TRIALS=1)
    figures = evaluate_weights(cfg, str(tmp_path / "all.npz"))
    saved = np.load(tmp_path / "all_RegDB.npz")
    settings = regdb_settings(saved["pids"], saved["modalities"])
    found = evaluate_settings(saved["features"], saved["pids"], settings)
    assert {name: result.mean for name, result in found.items()} == figures["RegDB"]
    assert (tmp_path / "all_SYSUMM01.npz").is_file()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("features.pt", "expected the name of a feature file, which ends in .npz"),
        ("no/features.npz", "there is no folder"),
        ("folder.npz", "is a folder; name a file in it"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused_first(command, datasets, tmp_path, file, message):
    (tmp_path / "folder.npz").mkdir()
    config = ["--config-file", PROJECTS / "VIReID/configs/sysu.yml", "--save-features", tmp_path / file]
    status, _, error = command("evaluate", *config, *options(OUTPUT_DIR=tmp_path / "out"))
    assert status == 2 and message in error
    assert not (tmp_path / "out" / "eval" / "results.json").exists()
