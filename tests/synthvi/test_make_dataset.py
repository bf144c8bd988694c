"""The command line: what it prints, and its exit status."""

import hashlib
import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from generated_data import content
from synthvi import RECIPES
from synthvi.recipe import Seen

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def make_dataset(monkeypatch):
    """The tool's main(), run with the given arguments."""
    monkeypatch.syspath_prepend(TOOLS)
    tool = importlib.import_module("make_dataset")

    def run(*arguments):
        return tool.main(["--layout", "regdb", "--size", "64x32", "--workers", "1", *map(str, arguments)])

    return run


def test_command_line(make_dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # a progress bar is for a terminal
    data = ("--output", tmp_path / "data", "--identities", 2, "--images", 1)
    assert make_dataset(*data, "--preview", tmp_path / "sheet.png") == 0
    captured = capsys.readouterr()
    assert re.search(r"^4 images in .* images/s$", captured.out, re.MULTILINE)
    assert "100%" in captured.err  # the progress bar
    assert (tmp_path / "sheet.png").is_file()
    assert make_dataset(*data) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"make_dataset.py: error: .* is not empty; .*\n", captured.err)
    with pytest.raises(SystemExit) as refused:
        make_dataset(*data, "--size", "big")
    assert refused.value.code == 2
    assert "expected HxW, for example 256x128" in capsys.readouterr().err


def test_command_line_says_that_an_interrupted_folder_is_incomplete(
    make_dataset, tmp_path, capsys, monkeypatch
):
    def stop(self, shots):
        raise KeyboardInterrupt

    monkeypatch.setattr("synthvi.generate._Worker.write", stop)
    assert make_dataset("--output", tmp_path / "data", "--identities", 2, "--images", 1) == 130
    assert f"interrupted; {tmp_path / 'data'} is incomplete: delete it" in capsys.readouterr().err
    assert not (tmp_path / "data" / "idx").exists()


@pytest.fixture
def main(monkeypatch):
    """The tool's main()."""
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("make_dataset").main


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


def test_a_recipe_is_written_and_verified(main, tiny_recipe, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "SYSU-MM01"
    assert main(["--recipe", "tiny", "--output", str(folder), "--workers", "1"]) == 0
    captured = capsys.readouterr()
    assert re.search(r"^48 images in ", captured.out, re.MULTILINE)
    assert f"export FASTREID_DATASETS={tmp_path}" in captured.out
    assert "some files are NOT as published" in captured.err  # the digest is that of another recipe
    assert main(["--verify", str(folder)]) == 0
    assert "every file is as in SHA256SUMS, which is of no published recipe" in capsys.readouterr().out

    digest = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    monkeypatch.setitem(RECIPES, "tiny", replace(tiny_recipe, digest=digest))
    assert main(["--recipe", "tiny", "--output", str(tmp_path / "again"), "--workers", "1"]) == 0
    assert "tiny: every file is as published" in capsys.readouterr().out
    assert main(["--verify", str(tmp_path / "again")]) == 0
    assert "every file is as in SHA256SUMS, tiny" in capsys.readouterr().out
    next(folder.rglob("*.jpg")).unlink()
    assert main(["--verify", str(folder)]) == 2
    assert "1 missing (first cam" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--recipe", "tiny"], "--recipe needs --output"),
        (["--layout", "sysu", "--output", "data"], "--layout needs --identities, --images"),
        (
            ["--recipe", "tiny", "--output", "data", "--size", "64x32"],
            "the recipe fixes --size",
        ),
        (["--recipe", "tiny", "--layout", "sysu"], "not allowed with argument"),
        (["--output", "data"], "one of the arguments --layout --recipe --verify is required"),
    ],
)
def test_arguments_that_do_not_fit_together(main, arguments, message, capsys):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_recipe_is_an_error_in_one_line(main, tmp_path, capsys):
    assert main(["--recipe", "synthvi", "--output", str(tmp_path / "data")]) == 2
    assert "recipe is 'synthvi'; " in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_conditions_of_the_benchmark_in_any_layout(make_dataset, tmp_path):
    data = ("--identities", 2, "--images", 1)
    assert make_dataset("--output", tmp_path / "plain", *data) == 0
    assert make_dataset("--output", tmp_path / "hard", *data, "--conditions", "synthvi-1.0") == 0
    plain, hard = content(tmp_path / "plain"), content(tmp_path / "hard")
    assert plain.keys() == hard.keys()
    assert not any(plain[name] == hard[name] for name in plain if name.endswith(".bmp"))
