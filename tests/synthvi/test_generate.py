"""Generated datasets: the same files for a seed, one modality in gray, errors before writing."""

import re
from pathlib import Path

import numpy as np
import pytest

from generated_data import SIZE, content, make, pixels
from synthvi import write_contact_sheet
from vireid.errors import DatasetError, UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "synthvi_plain.npz"


@pytest.mark.parametrize("layout", ["sysu", "regdb", "llcm"])
def test_same_seed_same_bytes_whatever_the_workers(layout, tmp_path):
    make(layout, tmp_path / "one", workers=1)
    make(layout, tmp_path / "two", workers=2)
    make(layout, tmp_path / "other", workers=1, seed=4)
    one, two, other = (content(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert not {
        name
        for name in one.keys() & other.keys()
        if Path(name).suffix in (".jpg", ".bmp") and one[name] == other[name]
    }


def test_images_of_a_person_differ_and_persons_stay_with_more_identities(tmp_path):
    make("sysu", tmp_path / "few", identities=3)
    make("sysu", tmp_path / "many", identities=5, images=3)
    few, many = content(tmp_path / "few"), content(tmp_path / "many")
    images = [name for name in few if name.endswith(".jpg")]
    assert len(images) == 3 * 6 * 2
    assert all(few[name] == many[name] for name in images)
    assert len({few[name] for name in images}) == len(images)


def test_the_images_are_those_of_the_first_version(tmp_path):
    """Other versions of Pillow and NumPy change a few values by a little; another drawing changes most."""
    with np.load(GOLDEN) as golden:
        for name in golden.files:
            layout, _, path = name.partition("/")
            if not (tmp_path / layout).exists():
                make(layout, tmp_path / layout, identities=3, images=1, seed=5, size=(48, 24))
            difference = np.abs(pixels(tmp_path / layout / path).astype(int) - golden[name])
            assert difference.mean() < 0.05, name


WITHOUT_FASTREID = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name.split(".")[0] == "fastreid" else found(name, *a)
from synthvi import generate_dataset
report = generate_dataset("regdb", sys.argv[1], identities=2, images=1, seed=0, size=(32, 16), progress=False)
print(len(report.plan.shots), "fastreid" in sys.modules)
"""


def test_works_without_fastreid(python, tmp_path):
    run = python(WITHOUT_FASTREID, str(tmp_path / "data"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "4 False"


@pytest.mark.parametrize(
    "layout, infrared",
    [("sysu", r"cam[36]/"), ("regdb", "Thermal/"), ("llcm", "(test_)?nir/"), ("vcm", r"T\w+/\d+/ir/")],
)
def test_infrared_images_alone_are_gray(layout, infrared, tmp_path):
    make(layout, tmp_path, identities=3, images=12 if layout == "vcm" else 1, size=(48, 40))
    paths = [path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".bmp")]
    for path in paths:
        image = pixels(path)
        assert image.shape == (48, 40, 3) and image.dtype == np.uint8
        gray = bool((image == image[..., :1]).all())
        assert gray == bool(re.match(infrared, str(path.relative_to(tmp_path)))), path


@pytest.mark.parametrize("size", [(32, 16), (1024, 16), (32, 1024), (640, 640)])
def test_extreme_sizes(size, tmp_path):
    report = make("regdb", tmp_path, identities=2, images=1, size=size)
    for shot in report.plan.shots:
        image = pixels(tmp_path / shot.path)
        assert image.shape == (*size, 3)
        assert image.std() > 5


def test_refuses_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty"):
        make("sysu", tmp_path)
    with pytest.raises(DatasetError, match="is a file"):
        make("sysu", tmp_path / "notes.txt")
    assert set(content(tmp_path)) == {"notes.txt"}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"identities": 2}, "identities is 2; layout sysu needs 3"),
        ({"images": 0}, "images is 0"),
        ({"layout": "vcm", "images": 11}, "images is 11; layout vcm needs 12 or more"),
        ({"seed": -1}, "seed is -1"),
        ({"size": (20, 10)}, "size is 20x10"),
        ({"workers": 0}, "workers is 0"),
        ({"test_identities": 3}, "test_identities is 3; with 4 identities expected 1 to 2"),
        ({"layout": "market", "images": 1}, "images is 1; layout market needs 2 to 999"),
        ({"layout": "duke"}, "layout is 'duke'; expected one of sysu, regdb, llcm, vcm, market"),
    ],
)
def test_says_what_is_wrong_before_writing(options, message, tmp_path):
    with pytest.raises(UserError, match=re.escape(message)):
        make(**{"layout": "sysu", "folder": tmp_path / "new", **options})
    assert not (tmp_path / "new").exists()


def test_contact_sheet_shows_each_identity_in_each_camera(tmp_path):
    report = make("llcm", tmp_path / "data", identities=3, images=1)
    sheet = pixels(
        write_contact_sheet(tmp_path / "sheets" / "llcm.png", tmp_path / "data", report.plan, rows=3)
    )
    assert sheet.shape[0] > 3 * SIZE[0] and sheet.shape[1] > 17 * SIZE[1]
    first = pixels(tmp_path / "data" / report.plan.shots[0].path)
    windows = np.lib.stride_tricks.sliding_window_view(sheet[:40, :80, 0], (8, 8))
    assert (windows == first[:8, :8, 0]).all(axis=(2, 3)).any()
