import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / "tools" / "show_transforms.py"


@pytest.fixture
def show(monkeypatch, capsys):
    """The tool, in this process: (exit status, what it printed, its error)."""
    monkeypatch.syspath_prepend(TOOL.parent)
    spec = importlib.util.spec_from_file_location("show_transforms", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["show_transforms.py", *map(str, arguments)])
        return tool.main(), *capsys.readouterr()

    return run


def test_a_row_for_each_image_and_the_same_picture_for_the_same_seed(show, datasets, tmp_path):
    images = sorted((datasets / "SYSU-MM01" / "cam1").rglob("*.jpg"))[:2]
    for name in ("first.png", "second.png"):
        assert show("--output", tmp_path / name, "--draws", 3, *images)[0] == 0
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.size == ((1 + 4 * 3) * 67, 14 + 2 * 131)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_an_image_that_cannot_be_read_is_named(show, tmp_path):
    status, _, error = show("--output", tmp_path / "sheet.png", tmp_path / "none.jpg")
    assert status == 2 and "none.jpg" in error
