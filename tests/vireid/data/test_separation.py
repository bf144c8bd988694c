"""Identities and images that are trained on and tested."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from vireid import Modality
from vireid.data import TrainSet
from vireid.data.datasets import LLCM, SYSUMM01, ImageItem, RegDB
from vireid.data.datasets.list_faults import check_separation, shared_fault
from vireid.engine.checks import check_run
from vireid.engine.evaluation_sets import EvaluationSet
from vireid.errors import DatasetError

from .layouts import write_image, write_list, write_llcm, write_regdb, write_sysu


def check(dataset):
    check_separation(dataset, dataset)


def refused(dataset, match):
    with pytest.raises(DatasetError, match=match) as error:
        check(dataset)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("take them out of one of the two; see datasets/README.md")


def test_the_layouts_pass(tmp_path):
    write_sysu(tmp_path), write_regdb(tmp_path), write_llcm(tmp_path)
    for dataset in (SYSUMM01(str(tmp_path)), RegDB(str(tmp_path), split=2), LLCM(str(tmp_path))):
        check(dataset)


def test_sysu_identities_in_both_lists_are_counted_and_named(tmp_path):
    folder = write_sysu(tmp_path, train=(1, 2, 5), val=(7,), test=(3, 4), images=2)
    write_list(folder / "exp/test_id.txt", ["3,7,5,4"])
    refused(
        SYSUMM01(str(tmp_path)),
        r"^SYSUMM01: 2 of the test identities \(identities 5, 7\) and 24 of the test images "
        rf"\({folder}/cam1/0005/0001.jpg, \.\.\.\) are also in the training set",
    )


def test_regdb_labels_may_agree_but_not_folders(tmp_path):
    folder = write_regdb(tmp_path, pids=6, images=2)
    assert {item.pid for item in RegDB(str(tmp_path)).train} == {0, 1, 2}
    assert {item.pid for item in RegDB(str(tmp_path)).test} == {0, 1, 2}
    write_image(folder / "Thermal/2/another.bmp", np.random.default_rng(0))
    with open(folder / "idx/test_thermal_1.txt", "a") as file:
        file.write("Thermal/2/another.bmp 3\n")  # identity 2 is trained on in split 1
    refused(RegDB(str(tmp_path)), r"^RegDB: 1 of the test identities \(identity 2\) are also")
    check(RegDB(str(tmp_path), split=2))


def test_llcm_labels_may_agree_but_not_folders(tmp_path):
    folder = write_llcm(tmp_path, train=3, test=(8, 9))
    for side in ("vis", "nir"):
        shutil.copytree(folder / f"test_{side}/cam1/0008", folder / f"test_{side}/cam1/0002")
    write_list(folder / "idx/test_id.txt", ["2,8,9"])
    refused(LLCM(str(tmp_path)), r"^LLCM: 1 of the test identities \(identity 2\) are also in")


def item(path, pid):
    return ImageItem(path, pid, 1, Modality.VISIBLE)


def test_paths_are_compared_however_they_are_written():
    fault = shared_fault([item("a/b/../c/1.jpg", 0)], [item("a/c/./1.jpg", 5)])
    assert fault.startswith("1 of the test images (a/c/1.jpg) are also")
    assert shared_fault([item("a/1.jpg", 0)], [item("a/2.jpg", 0)]) == ""
    many = [item(f"{pid}.jpg", pid) for pid in range(40)]
    assert shared_fault(many, [item("x", pid) for pid in range(12)], lambda i: i.pid) == (
        "12 of the test identities (identities 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (12 in all)) are also in "
        "the training set: take them out of one of the two"
    )


def test_identities_of_two_datasets_are_not_compared_but_images_are(tmp_path):
    write_sysu(tmp_path, test=(3, 4)), write_regdb(tmp_path)
    sysu, regdb = SYSUMM01(str(tmp_path)), RegDB(str(tmp_path))
    check_separation(regdb, sysu)
    toolkit = SimpleNamespace(train=[(sysu.test[0].path, "market1501_3", "market1501_1")])
    with pytest.raises(DatasetError, match=r"^SimpleNamespace and SYSUMM01: 1 of the test images"):
        check_separation(toolkit, sysu)


def test_a_run_with_such_lists_stops_before_training(tmp_path, cfg):
    folder = write_sysu(tmp_path)
    write_list(folder / "exp/val_id.txt", ["4"])
    dataset = SYSUMM01(str(tmp_path))
    with pytest.raises(DatasetError, match=r"SYSUMM01: 1 of the test identities \(identity 4\)"):
        check_run(cfg, TrainSet([dataset], (8, 4), {}), {"SYSUMM01": EvaluationSet(dataset, (), {})})
