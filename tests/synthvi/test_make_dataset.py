"""The command line: what it prints, and its exit status."""

import hashlib
import re
import sys
from dataclasses import replace
from functools import partial

import pytest

from generated_data import content
from synthvi import RECIPES
from synthvi.recipe import Seen


@pytest.fixture
def make(command):
    """``vireid data make``: (exit status, what it printed, its error)."""
    return partial(command, "data", "make")


@pytest.fixture
def make_regdb(make):
    """The same for a small RegDB."""
    return partial(make, "--layout", "regdb", "--size", "64x32", "--workers", 1)


def test_command_line(make_regdb, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # a progress bar is for a terminal
    data = ("--output", tmp_path / "data", "--identities", 2, "--images", 1)
    status, printed, error = make_regdb(*data, "--preview", tmp_path / "sheet.png")
    assert status == 0
    assert re.search(r"^4 images in .* images/s$", printed, re.MULTILINE)
    assert "100%" in error  # the progress bar
    assert (tmp_path / "sheet.png").is_file()
    status, printed, error = make_regdb(*data)
    assert (status, printed) == (2, "")
    assert re.fullmatch(r"error: .* is not empty; .*\n", error)


def test_a_preview_of_an_unknown_kind_is_an_error(make_regdb, tmp_path):
    data = ("--output", tmp_path / "data", "--identities", 2, "--images", 1)
    (tmp_path / "sheet.png").mkdir()
    for name, message in (
        ("sheet.doc", "no picture has such a name"),
        ("sheet.png", "is a folder; name a file"),
    ):
        status, _, error = make_regdb(*data, "--preview", tmp_path / name)
        assert status == 2 and message in error
    assert not (tmp_path / "data").exists()


def test_command_line_says_that_an_interrupted_folder_is_incomplete(make_regdb, tmp_path, monkeypatch):
    def stop(self, shots):
        raise KeyboardInterrupt

    monkeypatch.setattr("synthvi.generate._Worker.write", stop)
    status, _, error = make_regdb("--output", tmp_path / "data", "--identities", 2, "--images", 1)
    assert status == 130
    assert f"interrupted; {tmp_path / 'data'} is incomplete: delete it" in error
    assert not (tmp_path / "data" / "idx").exists()


@pytest.fixture
def tiny_recipe(monkeypatch):
    """A small recipe, known as "tiny"."""
    tiny = replace(
        RECIPES["synthvi-1.0-small"],
        name="tiny",
        size=(48, 24),
        identities={"train": 2, "val": 1, "test": 1},
        seen={name: (Seen(n, 2 * n),) * 6 for name, n in (("train", 2), ("val", 1), ("test", 1))},
    )
    monkeypatch.setitem(RECIPES, "tiny", tiny)
    return tiny


def test_a_recipe_is_written_and_verified(make, tiny_recipe, tmp_path, monkeypatch):
    folder = tmp_path / "SYSU-MM01"
    status, printed, error = make("--recipe", "tiny", "--output", folder, "--workers", 1)
    assert status == 0
    assert re.search(r"^48 images in ", printed, re.MULTILINE)
    assert f"export FASTREID_DATASETS={tmp_path}" in printed
    assert "some files are NOT as published" in error  # the digest is that of another recipe
    status, printed, _ = make("--verify", folder)
    assert status == 0 and "every file is as in SHA256SUMS, which is of no published recipe" in printed

    digest = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    monkeypatch.setitem(RECIPES, "tiny", replace(tiny_recipe, digest=digest))
    status, printed, _ = make("--recipe", "tiny", "--output", tmp_path / "again", "--workers", 1)
    assert status == 0 and "tiny: every file is as published" in printed
    status, printed, _ = make("--verify", tmp_path / "again")
    assert status == 0 and "every file is as in SHA256SUMS, tiny" in printed
    next(folder.rglob("*.jpg")).unlink()
    status, _, error = make("--verify", folder)
    assert status == 2 and "1 missing (first cam" in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--recipe", "tiny"], "--recipe needs --output"),
        (["--layout", "sysu", "--output", "data"], "--layout needs --identities, --images"),
        (
            ["--recipe", "tiny", "--output", "data", "--size", "64x32"],
            "the recipe fixes --size",
        ),
    ],
)
def test_arguments_that_do_not_fit_together(make, arguments, message):
    status, _, error = make(*arguments)
    assert status == 2 and message in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--recipe", "tiny", "--layout", "sysu"], "not allowed with argument"),
        (["--output", "data"], "one of the arguments --layout --recipe --verify is required"),
        (["--layout", "sysu", "--size", "big"], "expected HxW, for example 256x128"),
    ],
)
def test_arguments_that_are_not_understood(make, arguments, message, capsys):
    with pytest.raises(SystemExit) as refused:
        make(*arguments)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_recipe_is_an_error_in_one_line(make, tmp_path):
    status, _, error = make("--recipe", "synthvi", "--output", tmp_path / "data")
    assert status == 2 and "recipe is 'synthvi'; " in error
    assert not (tmp_path / "data").exists()


def test_conditions_of_the_benchmark_in_any_layout(make_regdb, tmp_path):
    data = ("--identities", 2, "--images", 1)
    assert make_regdb("--output", tmp_path / "plain", *data)[0] == 0
    assert make_regdb("--output", tmp_path / "hard", *data, "--conditions", "synthvi-1.0")[0] == 0
    plain, hard = content(tmp_path / "plain"), content(tmp_path / "hard")
    assert plain.keys() == hard.keys()
    assert not any(plain[name] == hard[name] for name in plain if name.endswith(".bmp"))
