"""The command line: what it prints, and its exit status."""

import importlib
import re
import sys
from pathlib import Path

import pytest

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
