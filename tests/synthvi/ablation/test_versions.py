"""Which changes make a run another one."""

import pytest

from configs import PROJECTS, all_keys
from synthvi.ablation.settings import changed_settings
from synthvi.ablation.versions import ROOTS, code_version, imported_sources

# Trains and scores a small model, and prints the modules of this project that are imported then.
TRAIN_AND_SCORE = """
import sys
from vireid.commands.main import main
from vireid.engine import full_config
from synthvi.ablation.scores import score_weights

config, folder, *options = sys.argv[1:]
assert main(["train", "--config-file", config, *options, "OUTPUT_DIR", folder]) == 0
score_weights(full_config(config, options), f"{folder}/model_final.pth", ["test"])
packages = ("vireid", "pmcm", "mcja", "caj", "deen", "synthvi")
print("modules:", *(name for name in sys.modules if name.split(".")[0] in packages))
"""
SHORT = {
    "MODEL.BACKBONE.WIDTH": 8,
    "INPUT.SIZE_TRAIN": [64, 32],
    "INPUT.SIZE_TEST": [64, 32],
    "DATALOADER.NUM_INSTANCE": 2,
    "DATALOADER.MAX_BATCHES_PER_EPOCH": 2,
    "SOLVER.IMS_PER_BATCH": 8,
    "SOLVER.MAX_EPOCH": 1,
    "SOLVER.WARMUP_EPOCHS": 0,
    "DATASETS.TRIALS": 1,
    "TEST.RERANKER": "",  # MSER needs more images
}

SOURCE = '"""A module."""\n\ndef double(x):\n    """Twice x."""\n    return 2 * x\n'


@pytest.fixture
def version(tmp_path, monkeypatch):
    """The code version of a module that imports another one of its package; a third one is not imported."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "counting"
    (folder / "numbers").mkdir(parents=True)

    def of(source, package="", left_out="", name="twice"):
        (folder / "__init__.py").write_text(package)
        (folder / "begin.py").write_text(f"import json\ndef run():\n    from .numbers import {name}\n")
        (folder / "numbers" / "__init__.py").write_text("")
        (folder / "numbers" / f"{name}.py").write_text(source)
        (folder / "show.py").write_text(left_out)
        return code_version(["counting.begin"])

    return of


def test_words_and_layout_do_not_change_the_version(version):
    same = 'def double( x ):\n    # the same\n    "Other words."\n    return 2*x\n'
    assert version(SOURCE) == version(same) == version(SOURCE, left_out="x = 1")


def test_code_that_is_imported_and_its_names_change_the_version(version):
    changed = version(SOURCE.replace("2 * x", "3 * x")), version(SOURCE, package="x = 1")
    assert len({version(SOURCE), *changed, version(SOURCE, name="double")}) == 4


def test_a_version_covers_what_a_training_and_its_scoring_import(datasets, python, tmp_path):
    options = [str(part) for setting in SHORT.items() for part in setting]
    done = python(TRAIN_AND_SCORE, "synthvi/small_agw", str(tmp_path / "run"), *options)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("modules:")]
    starts = ("vireid.command", "vireid.runs.processes")  # what the command line of a training needs
    names = (name for name in line.split()[1:] if not name.startswith(starts))
    imported = {name for name in names if name.partition(".")[0] != "synthvi" or ".ablation" in name}
    assert imported == set(imported_sources(ROOTS))
    left_out = ("vireid.inference", "vireid.page", "vireid.visualize", "vireid.commands", "vireid.export")
    assert not {*left_out, "synthvi.ablation.suite_tables", "synthvi.generate"} & imported
    assert all(path.is_relative_to(PROJECTS) for path in imported_sources(ROOTS).values())


def test_settings_are_those_that_are_no_defaults():
    cfg = all_keys()
    cfg.SEED, cfg.MODEL.PATCH_MIX.RATIO, cfg.OUTPUT_DIR = 3, 0.25, "elsewhere"
    cfg.INPUT.VISIBLE_TRANSFORMS = ["Flip"]
    settings = changed_settings(cfg)
    assert settings == {"SEED": 3, "MODEL.PATCH_MIX.RATIO": 0.25, "INPUT.VISIBLE_TRANSFORMS": ["Flip"]}
