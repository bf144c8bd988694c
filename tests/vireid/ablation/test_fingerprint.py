"""Which changes make a run another one."""

import pytest

from configs import all_keys
from vireid.ablation.fingerprint import changed_settings, code_version, run_key

SOURCE = '"""A module."""\n\ndef double(x):\n    """Twice x."""\n    return 2 * x\n'


@pytest.fixture
def version(tmp_path):
    """The code version of a package with one module that counts, and one that is left out."""

    def of(source, left_out=""):
        folder = tmp_path / "package"
        (folder / "ablation").mkdir(parents=True, exist_ok=True)
        (folder / "module.py").write_text(source)
        (folder / "ablation" / "other.py").write_text(left_out)
        return code_version([folder])

    return of


def test_words_and_layout_do_not_change_the_version(version):
    same = 'def double( x ):\n    # the same\n    "Other words."\n    return 2*x\n'
    assert version(SOURCE) == version(same) == version(SOURCE, left_out="x = 1")


def test_code_and_file_names_change_the_version(version, tmp_path):
    first = version(SOURCE)
    assert version(SOURCE.replace("2 * x", "3 * x")) != first
    version(SOURCE)
    (tmp_path / "package" / "module.py").rename(tmp_path / "package" / "renamed.py")
    assert code_version([tmp_path / "package"]) != first


def test_settings_are_those_that_are_no_defaults():
    cfg = all_keys()
    cfg.SEED, cfg.MODEL.PATCH_MIX.RATIO, cfg.OUTPUT_DIR = 3, 0.25, "elsewhere"
    cfg.INPUT.VISIBLE_TRANSFORMS = ["Flip"]
    settings = changed_settings(cfg, all_keys())
    assert settings == {"SEED": 3, "MODEL.PATCH_MIX.RATIO": 0.25, "INPUT.VISIBLE_TRANSFORMS": ["Flip"]}


def test_a_key_depends_on_settings_code_and_data_and_not_on_their_order():
    settings = {"A": 1, "B": [2]}
    key = run_key(settings, "code", "data")
    assert key == run_key({"B": [2], "A": 1}, "code", "data")
    others = [({"A": 1}, "code", "data"), (settings, "other", "data"), (settings, "code", "other")]
    assert len({key, *(run_key(*other) for other in others)}) == 4
