"""Folders, names and lists are those of the real datasets."""

import re

import numpy as np
from fastreid.data.datasets.market1501 import Market1501
from scipy.io import loadmat

from generated_data import content, id_list, make

VCM_LISTS = ("train_name", "track_train_info", "test_name", "track_test_info", "query_IDX")


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


def test_vcm_layout(tmp_path):
    make("vcm", tmp_path, identities=5, images=12)
    files = content(tmp_path)
    lists = {name: files.pop(f"info/{name}.txt").decode().splitlines() for name in VCM_LISTS}
    identities = {}
    for subset in ("train", "test"):
        names, named = lists[f"{subset}_name"], set()
        for line in lists[f"track_{subset}_info"]:
            side, first, last, pid, camera = map(int, line.split(" "))
            assert last - first + 1 == 12 and first == len(named) + 1
            for name in names[first - 1 : last]:
                match = re.fullmatch(rf"{pid:04d}M{side}D{camera}T1F(\d+)\.jpg", name)
                named.add(f"{subset.title()}/{pid:04d}/{['ir', 'rgb'][side - 1]}/D{camera}/{match[1]}.jpg")
            identities.setdefault(subset, []).append((pid, side, camera))
        assert len(named) == len(names)
        files = {name: data for name, data in files.items() if name not in named}
    assert files == {}
    of_subset = {subset: {pid for pid, _, _ in tracks} for subset, tracks in identities.items()}
    assert [len(of_subset[subset]) for subset in ("train", "test")] == [3, 2]
    assert of_subset["train"] | of_subset["test"] == set(range(1, 6))
    for subset, tracks in identities.items():
        expected = [
            (pid, side, camera) for pid in of_subset[subset] for side in (1, 2) for camera in range(1, 5)
        ]
        assert sorted(tracks) == sorted(expected)
    (queries,) = lists["query_IDX"]
    infrared = [number for number, (_, side, _) in enumerate(identities["test"], start=1) if side == 1]
    assert [int(word) for word in queries.split(" ")] == infrared


def test_market_layout_is_read_by_the_toolkit(tmp_path):
    """Each camera sees each identity; the first image of each of a test identity is a query."""
    make("market", tmp_path / "Market-1501-v15.09.15", identities=5, images=3, test_identities=2)
    dataset = Market1501(root=str(tmp_path))
    parts = {"train": (3, 3), "query": (2, 1), "gallery": (2, 2)}
    for part, (identities, images) in parts.items():
        seen = [(pid, camera) for _, pid, camera in getattr(dataset, part)]
        assert len(set(seen)) == identities * 6 and len(seen) == identities * 6 * images
    assert {pid for _, pid, _ in dataset.query} == {pid for _, pid, _ in dataset.gallery}
    assert len(content(tmp_path)) == 5 * 6 * 3
