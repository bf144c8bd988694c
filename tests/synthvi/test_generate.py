"""Generated data: the files are those of the real layouts, the same for a seed, and of use."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from synthvi import generate_dataset, write_contact_sheet
from vireid.errors import DatasetError, UserError

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SIZE = (64, 32)


def make(layout, folder, identities=4, images=2, seed=3, size=SIZE, workers=1, **options):
    return generate_dataset(
        layout,
        folder,
        identities=identities,
        images=images,
        seed=seed,
        size=size,
        workers=workers,
        progress=False,
        **options,
    )


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def id_list(path):
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    return [int(pid) for pid in lines[0].split(",")]


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


def test_sysu_layout(tmp_path):
    make("sysu", tmp_path, identities=10, images=3, test_identities=4)
    expected = {
        f"cam{c}/{pid:04d}/{n:04d}.jpg" for c in range(1, 7) for pid in range(1, 11) for n in (1, 2, 3)
    }
    names = {"train_id.txt", "val_id.txt", "test_id.txt", "rand_perm_cam.mat"}
    assert set(content(tmp_path)) == expected | {f"exp/{name}" for name in names}
    train, val, test = (id_list(tmp_path / "exp" / f"{part}_id.txt") for part in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (4, 2, 4)
    assert sorted(train + val + test) == list(range(1, 11))
    assert [train, val, test] == [sorted(train), sorted(val), sorted(test)]


def test_sysu_permutations_have_the_structure_of_the_official_file(tmp_path):
    make("sysu", tmp_path, identities=3, images=4)
    cells = loadmat(tmp_path / "exp" / "rand_perm_cam.mat")["rand_perm_cam"]
    assert cells.shape == (6, 1) and cells.dtype == object
    for camera in range(6):
        assert cells[camera, 0].shape == (3, 1)
        for pid in (1, 2, 3):
            trials = cells[camera, 0][pid - 1, 0]
            assert trials.shape == (10, 4) and trials.dtype == np.uint8
            assert all(sorted(trial) == [1, 2, 3, 4] for trial in trials)
            assert len({tuple(trial) for trial in trials}) > 1


def test_regdb_layout(tmp_path):
    make("regdb", tmp_path, identities=6, images=2)
    files = content(tmp_path)
    images = {name for name in files if name.endswith(".bmp")}
    assert len(images) == 6 * 2 * 2
    splits = set()
    for trial in range(1, 11):
        train_pids, test_pids = set(), set()
        for part, pids in (("train", train_pids), ("test", test_pids)):
            labels = {}
            for folder in ("Visible", "Thermal"):
                lines = files.pop(f"idx/{part}_{folder.lower()}_{trial}.txt").decode().splitlines()
                assert len(lines) == 3 * 2
                for line in lines:
                    path, label = line.split(" ")
                    assert path in images
                    match = re.fullmatch(
                        rf"{folder}/(\d+)/(fe)?male_(front|back)_[vt]_\d{{5}}_(\d+)\.bmp", path
                    )
                    assert match and match[1] == match[4]
                    pids.add(int(match[1]))
                    assert labels.setdefault(match[1], int(label)) == int(label)
            assert sorted(labels.values()) == [0, 1, 2]
        assert train_pids | test_pids == set(range(1, 7)) and not train_pids & test_pids
        splits.add(frozenset(test_pids))
    assert len(splits) > 3
    assert set(files) == images


def test_llcm_layout(tmp_path):
    make("llcm", tmp_path, identities=6, images=2)
    files = content(tmp_path)
    test = id_list(tmp_path / "idx" / "test_id.txt")
    assert len(test) == 2
    del files["idx/test_id.txt"]
    listed, pid_labels = set(), {}
    for modality, cameras in (("vis", range(1, 10)), ("nir", (1, 2, 4, 5, 6, 7, 8, 9))):
        seen = set()
        for line in files.pop(f"idx/train_{modality}.txt").decode().splitlines():
            path, label = line.split(" ")
            match = re.fullmatch(
                rf"{modality}/(\d{{4}})/(\d{{4}})_c(\d\d)_s\d{{6}}_f\d+_{modality}\.jpg", path
            )
            assert match and match[1] == match[2] and int(match[1]) not in test
            assert pid_labels.setdefault(match[1], int(label)) == int(label)
            seen.add(int(match[3]))
            listed.add(path)
        assert seen == set(cameras)
        for camera in cameras:
            for pid in test:
                folder = f"test_{modality}/cam{camera}/{pid:04d}"
                pattern = rf"{folder}/{pid:04d}_c{camera:02d}_s\d{{6}}_f\d+_{modality}\.jpg"
                found = {name for name in files if re.fullmatch(pattern, name)}
                assert len(found) == 2
                listed |= found
    assert sorted(pid_labels.values()) == [0, 1, 2, 3]
    assert set(files) == listed


@pytest.mark.parametrize(
    "layout, infrared", [("sysu", r"cam[36]/"), ("regdb", "Thermal/"), ("llcm", "(test_)?nir/")]
)
def test_infrared_images_alone_are_gray(layout, infrared, tmp_path):
    make(layout, tmp_path, identities=3, images=1, size=(48, 40))
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
        ({"seed": -1}, "seed is -1"),
        ({"size": (20, 10)}, "size is 20x10"),
        ({"workers": 0}, "workers is 0"),
        ({"test_identities": 3}, "test_identities is 3; with 4 identities expected 1 to 2"),
        ({"layout": "market"}, "layout is 'market'; expected one of sysu, regdb, llcm"),
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


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """30 identities: images (N, H, W, 3) float, identity and camera of each."""
    folder = tmp_path_factory.mktemp("data") / "SYSU-MM01"
    report = make("sysu", folder, identities=30, images=2, seed=7)
    images = np.stack([pixels(folder / shot.path) for shot in report.plan.shots]).astype(np.float32)
    pids = np.array([shot.pid for shot in report.plan.shots])
    cameras = np.array([int(shot.camera[-1]) for shot in report.plan.shots])
    return images, pids, cameras


def rank1(features, pids, cameras, queries, gallery):
    """Share of the queries whose nearest gallery image, of another camera, is of the same person."""
    query, target = (
        features[i] / np.linalg.norm(features[i], axis=1, keepdims=True) for i in (queries, gallery)
    )
    similarity = query @ target.T
    similarity[cameras[queries][:, None] == cameras[gallery][None]] = -2
    return float(np.mean(pids[gallery][similarity.argmax(axis=1)] == pids[queries]))


def test_brightness_tells_little_across_modalities(small):
    images, pids, cameras = small
    gray = images.mean(axis=3)
    coarse = gray.reshape(len(gray), 8, 8, 4, 8).mean(axis=(2, 4)).reshape(len(gray), -1)
    coarse = coarse - coarse.mean(axis=1, keepdims=True)
    infrared = np.isin(cameras, (3, 6))
    for part in (infrared, ~infrared):  # what a modality has in common tells nobody apart
        coarse[part] -= coarse[part].mean(axis=0)
    rate = rank1(coarse, pids, cameras, np.flatnonzero(infrared), np.flatnonzero(~infrared))
    assert rate < 0.15  # chance is 1 / 30


def test_color_tells_much_among_visible_images(small):
    images, pids, cameras = small
    visible = np.flatnonzero(~np.isin(cameras, (3, 6)))
    levels = (images[visible][:, 8:56, 8:24] // 64).astype(int)
    bins = levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]
    features = np.zeros((len(images), 3 * 64))
    for index, bin_map in zip(visible, bins):
        thirds = [np.bincount(third.ravel(), minlength=64) for third in np.split(bin_map, 3)]
        features[index] = np.sqrt(np.concatenate(thirds))
    rate = rank1(features, pids, cameras, visible, visible)
    assert rate > 0.8
