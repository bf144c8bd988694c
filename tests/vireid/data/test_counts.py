"""Counts of a dataset beside the published ones; the official permutations; the real test set's shape."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vireid import Modality
from vireid.data.datasets import LLCM, SYSUMM01, ImageItem, RegDB, published_counts
from vireid.data.datasets.published_counts import Count
from vireid.data.datasets.sysu_mm01 import permutation_faults
from vireid.data.verification import count_groups, verify

from .layouts import write_list

CHECKOUT = Path(__file__).resolve().parents[3]
PROTOCOL = Path(os.environ.get("VIREID_SYSU_PROTOCOL", CHECKOUT.parent / "shared" / "protocol"))
VISIBLE, INFRARED = Modality.VISIBLE, Modality.INFRARED


def faults_of(dataset, **options):
    return verify(dataset, progress=False, **options).faults


def test_counts_by_subset_modality_and_camera():
    def items(*rows):
        return [ImageItem(f"{n}.jpg", *row) for n, row in enumerate(rows)]

    train = items((0, 1, VISIBLE), (1, 1, VISIBLE), (0, 2, VISIBLE), (0, 3, INFRARED))
    test = items((0, 3, INFRARED))
    assert count_groups(train, test) == {
        ("train", VISIBLE, 1): Count(2, 2),
        ("train", VISIBLE, 2): Count(1, 1),
        ("train", VISIBLE, None): Count(3, 2),
        ("train", INFRARED, 3): Count(1, 1),
        ("train", INFRARED, None): Count(1, 1),
        ("train", None, None): Count(4, 2),
        ("test", INFRARED, 3): Count(1, 1),
        ("test", INFRARED, None): Count(1, 1),
        ("test", None, None): Count(1, 1),
        ("", None, None): Count(5, 3),
    }


@pytest.mark.parametrize("name", ["SYSU_MM01", "REGDB", "LLCM", "HITSZ_VCM"])
def test_published_counts_add_up(name):
    counts = getattr(published_counts, name).counts
    for subset, modality in {group[:2] for group in counts}:
        of_modality = {group: count for group, count in counts.items() if group[:2] == (subset, modality)}
        cameras = [count.images for group, count in of_modality.items() if group[2] is not None]
        total = counts.get((subset, modality, None))
        if cameras and total:
            assert sum(cameras) == total.images
    for column in range(2):
        parts = [counts[subset, None, None][column] for subset in ("train", "test")]
        assert None in parts or sum(parts) == counts["", None, None][column]


def test_splits_of_other_counts_have_rows_of_their_own(generated_root, tmp_path):
    shutil.copytree(generated_root / "RegDB", tmp_path / "RegDB")
    path = tmp_path / "RegDB/idx/test_visible_4.txt"
    write_list(path, path.read_text().splitlines()[:-3])
    rows = [
        row for row in verify(RegDB(str(tmp_path)), progress=False).rows if row.group == ("test", VISIBLE, 1)
    ]
    assert [(row.found, len(row.parts)) for row in rows] == [(Count(18, 6), 9), (Count(15, 5), 1)]
    assert rows[1].parts == ("split 4",)
    assert rows[0].published == Count(2060, 206)


def test_published_counts_are_compared_when_asked_for(generated_root):
    faults = faults_of(LLCM(str(generated_root)), published=True)
    assert faults == [
        "train: 408 images of 8 identities; published: 713 identities",
        "test: 204 images of 4 identities; published: 351 identities",
        "all: 612 images of 12 identities; published: 46,767 images of 1,064 identities",
    ]


@pytest.fixture(scope="module")
def real_shape(tmp_path_factory):
    """SYSU-MM01's test set in its real shape, of tiny files, and two training identities."""
    root = tmp_path_factory.mktemp("real")
    folder = root / "SYSU-MM01"
    golden = np.load(CHECKOUT / "tests" / "golden" / "sysu_protocol.npz")
    images = {}
    for modality, color in ((VISIBLE, "red"), (INFRARED, "gray")):
        Image.new("RGB", (4, 8), color).save(root / "tiny.bmp")
        images[modality] = (root / "tiny.bmp").read_bytes()
    rows = [(int(c), int(p), int(n)) for c, p, n in zip(golden["camids"], golden["pids"], golden["numbers"])]
    train, val = sorted(set(range(1, 500)) - {pid for _, pid, _ in rows})[:2]
    rows += [(camera, pid, 1) for camera in range(1, 7) for pid in (train, val)]
    for serial, (camera, pid, number) in enumerate(rows):
        path = folder / f"cam{camera}" / f"{pid:04d}" / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Bytes after the pixels make each file another one.
        path.write_bytes(images[INFRARED if camera in (3, 6) else VISIBLE] + serial.to_bytes(4, "big"))
    test = ",".join(map(str, sorted(set(golden["pids"].tolist()))))
    for name, pids in (("train", train), ("val", val), ("test", test)):
        write_list(folder / "exp" / f"{name}_id.txt", [str(pids)])
    return root


def test_the_real_test_set_is_recognized_by_its_identities_and_has_the_published_counts(real_shape):
    found = verify(SYSUMM01(str(real_shape)), progress=False)
    assert not [fault for fault in found.faults if not fault.startswith(("train", "all"))]
    expected = (
        "train, infrared, camera 3: 2 images of 2 identities; published: 7,909 images of 392 identities"
    )
    assert expected in found.faults
    assert found.notes[0].startswith("counts compared with those of Wu et al.")
    assert faults_of(SYSUMM01(str(real_shape)), published=False) == []


@pytest.mark.parametrize(
    ("test_on", "faults"),
    [("test", []), ("val", ["test: 6 images of 1 identity; published: 99 identities"])],
)
def test_the_lists_of_sysu_have_counts_of_their_own(real_shape, test_on, faults):
    found = faults_of(SYSUMM01(str(real_shape), train_on="train", test_on=test_on), published=True)
    assert found == ["train: 6 images of 1 identity; published: 296 identities", *faults]


def test_a_missing_image_of_the_real_test_set_is_counted(real_shape):
    path = min((real_shape / "SYSU-MM01" / "cam2").glob("*/0002.jpg"))  # a training identity has one image
    path.rename(real_shape / "aside")
    try:
        faults = faults_of(SYSUMM01(str(real_shape)))
    finally:
        (real_shape / "aside").rename(path)
    assert [fault for fault in faults if fault.startswith("test, visible, camera")] == [
        "test, visible, camera 2: 1,564 images of 56 identities; published: 1,565 images of 56 identities"
    ]


def test_the_official_permutations_are_those_of_the_real_test_set():
    official = PROTOCOL / "rand_perm_cam.mat"
    if not official.exists():
        pytest.skip(f"{official} is absent; VIREID_SYSU_PROTOCOL names the folder of the official ones")
    golden = np.load(CHECKOUT / "tests" / "golden" / "sysu_protocol.npz")
    test = list(zip(golden["pids"].tolist(), golden["camids"].tolist(), golden["numbers"].tolist()))
    assert list(permutation_faults(str(official), [], test)) == []
    pid, camid, number = test.pop(0)
    (fault,) = permutation_faults(str(official), [], test)
    assert fault.endswith(f"camera {camid}, identity {pid:04d}: draws {number:04d}.jpg, which does not exist")


def test_permutations_of_a_wrong_shape_are_named(tmp_path):
    cells = np.empty((6, 1), dtype=object)
    for camera in range(6):
        cells[camera, 0] = np.empty((2, 1), dtype=object)
        for pid in range(2):
            cells[camera, 0][pid, 0] = np.array([[1, 2]] * 10)
    cells[0, 0][0, 0] = np.array([[1, 2]] * 4)
    cells[1, 0][0, 0] = np.array([[1, 2]] * 9 + [[2, 2]])
    cells[3, 0][0, 0] = np.zeros((0, 0))
    savemat(tmp_path / "few.mat", {"rand_perm_cam": cells})
    test = [(1, camera, number) for camera in range(1, 7) for number in (1, 2)]
    faults = permutation_faults(str(tmp_path / "few.mat"), [], test)
    assert [fault.split(", identity 0001: ")[1] for fault in faults] == [
        "4 permutations; expected 10, one for each trial",
        "draws an image twice in one trial",
        "no permutation of its 2 images",
    ]
