"""What a user gets wrong in the first hour is one line, before anything is computed or written."""

import os

import pytest
import torch

from configs import PROJECTS, TINY

TINY_MODEL = [str(item) for pair in TINY.items() for item in pair]
PMCM = ["--config-file", PROJECTS / "PMCM/configs/sysu.yml"]
REFUSED = {
    "a picture of an unknown kind": (
        ["show", "patch-mix", "--output", "{}/a.xyz"],
        "{}/a.xyz: expected the name of a file that ends in .png, .jpg, .pdf",
    ),
    "no kind of picture": (["show", "transforms", "--output", "{}/a"], "{}/a: expected the name of a file"),
    "a drawing of an unknown kind": (
        ["show", "architecture", "--output", "{}/a.xyz"],
        "{}/a.xyz: expected the name of a file that ends in .png, .svg, .pdf",
    ),
    "a folder in place of a picture": (
        ["show", "patch-mix", "--output", "{}/folder.png"],
        "{}/folder.png is a folder; name a file in it",
    ),
    "a picture in a file": (
        ["show", "patch-mix", "--output", "{}/file/a.png"],
        "the folder {}/file cannot be made (File exists)",
    ),
    "a figure of a search": (
        ["search", "query", "--store", "{}/store", "--image", "{}/a.jpg", "--figure", "{}/a.xyz"],
        "{}/a.xyz: expected the name of a file that ends in .png, .jpg, .pdf",
    ),
    "a list in place of a folder": (
        ["data", "list", "{}/photos", "--output", "{}/folder.png"],
        "{}/folder.png is a folder; name a file in it",
    ),
    "a file in place of the folder of runs": (
        ["sweep", *PMCM, "--output", "{}/file"],
        "cannot be made (File exists)",
    ),
    "a file in place of the folder of splits": (
        ["splits", "--config-file", PROJECTS / "PMCM/configs/regdb.yml", "--output", "{}/file"],
        "cannot be made (File exists)",
    ),
    "a file in place of the folder of exports": (
        ["export", *PMCM, "--output", "{}/file", *TINY_MODEL, "MODEL.HEADS.PARTS.COUNT", "2"],
        "the folder {}/file cannot be made (File exists)",
    ),
}
# By argparse, which shows the usage as well.
MISUSED = {
    "no persons": (["show", "patch-mix", "--persons", "0"], "'0' is no whole number of 1 or more"),
    "half a query": (["show", "ranking", "--queries", "1.5"], "'1.5' is no whole number of 1 or more"),
    "a negative seed": (["show", "transforms", "--seed", "-1"], "'-1' is no whole number of 0 or more"),
    "a share": (["data", "list", "photos", "--test-share", "nan"], "'nan' is no number from 0 to 1"),
    "a large share": (["data", "list", "photos", "--test-share", "2"], "'2' is no number from 0 to 1"),
    "an empty config": (
        ["train", "--config-file", ""],
        "--config-file: it is empty; expected a file, or a name",
    ),
}


@pytest.fixture
def place(tmp_path):
    """A folder that holds a file, a folder that is named like a picture, and images."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "photos" / "visible" / "1").mkdir(parents=True)
    (tmp_path / "photos" / "visible" / "1" / "a.jpg").write_text("")
    return tmp_path


def files(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_one_line_and_leaves_nothing(command, place, mistake):
    words, message = REFUSED[mistake]
    before = files(place)
    status, printed, error = command(*(str(word).replace("{}", str(place)) for word in words))
    assert (status, printed) == (2, "")
    assert error.count("\n") == 1 and error.startswith("error: ")
    assert message.replace("{}", str(place)) in error
    assert files(place) == before


@pytest.mark.parametrize("mistake", MISUSED)
def test_an_argument_out_of_its_range_is_named(command, capsys, mistake):
    words, message = MISUSED[mistake]
    with pytest.raises(SystemExit) as ended:
        command(*words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_name_that_is_no_text_is_not_listed(command, place):
    try:
        os.rename(place / "photos/visible/1/a.jpg", os.fsencode(place / "photos/visible/1") + b"/\xff.jpg")
    except OSError:
        pytest.skip("this file system has names of text alone")
    status, _, error = command("data", "list", place / "photos")
    assert status == 2 and "\\udcff.jpg': its name is not text in UTF-8" in error
    assert not (place / "photos/list.csv").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(command, place):
    words = ["search", "index", "--store", place / "store", "--gallery", place / "photos", *PMCM]
    status, _, error = command(*words, "--device", "cuda:7")
    assert (status, error) == (
        2,
        "error: device is cuda:7, and PyTorch finds no GPU; leave it out, or give cpu\n",
    )
    assert not (place / "store").exists()
