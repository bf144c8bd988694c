import logging
import os
import random
import shutil

import numpy as np
import pytest
from fastreid.data.datasets import DATASET_REGISTRY
from scipy.io import savemat

from vireid import Modality
from vireid.data import build_dataset
from vireid.data.datasets import LLCM, SYSUMM01, RegDB
from vireid.errors import ConfigError, DatasetError

from .layouts import write_image, write_list, write_llcm, write_permutations, write_regdb, write_sysu

VISIBLE, INFRARED = Modality.VISIBLE, Modality.INFRARED


def relative(items, folder):
    return [(item.path.removeprefix(f"{folder}/"), *item[1:4]) for item in items]


def drawn(dataset, name, trial=0):
    """Query and gallery images of one trial."""
    settings = {setting.name: setting for setting in dataset.settings(trials=trial + 1)}
    chosen = settings[name].trials[trial]
    return [dataset.test[i] for i in chosen.query], [dataset.test[i] for i in chosen.gallery]


def test_sysu_lists_train_and_validation_identities_by_camera_identity_and_number(tmp_path):
    folder = write_sysu(tmp_path, train=(1, 5), val=(2,), test=(3,), images=2)
    dataset = SYSUMM01(root=str(tmp_path))
    expected = [
        (f"cam{cam}/{pid:04d}/{n:04d}.jpg", pid, cam, INFRARED if cam in (3, 6) else VISIBLE)
        for cam in range(1, 7)
        for pid in (1, 2, 5)
        for n in (1, 2)
    ]
    assert relative(dataset.train, folder) == expected
    assert [(item.pid, item.camid) for item in dataset.test] == [
        (3, cam) for cam in range(1, 7) for _ in (1, 2)
    ]
    path, pid, camid = dataset.train[0][:3]  # what the toolkit reads of an item
    assert (path, pid, camid) == (str(folder / "cam1/0001/0001.jpg"), 1, 1)


def test_sysu_orders_images_by_number_and_ignores_other_files(tmp_path):
    folder = write_sysu(tmp_path, test=(3, 4), images=1)
    rng = np.random.default_rng(0)
    for name in ("10000.jpg", "0009.JPG", "._0001.jpg"):
        write_image(folder / "cam1" / "0003" / name, rng)
    (folder / "cam1" / "0003" / "Thumbs.db").write_text("")
    (folder / "cam1" / "notes").mkdir()
    shutil.rmtree(folder / "cam4" / "0003")  # not every identity passes every camera
    items = [item for item in SYSUMM01(str(tmp_path)).test if item.pid == 3]
    assert [item.path.rsplit("/", 1)[1] for item in items if item.camid == 1] == [
        "0001.jpg",
        "0009.JPG",
        "10000.jpg",
    ]
    assert not [item for item in items if item.camid == 4]


def test_sysu_gallery_is_the_permutation_of_the_trial(tmp_path):
    folder = write_sysu(tmp_path, test=(3, 4), images=3)
    dataset = SYSUMM01(str(tmp_path))
    for trial in (0, 7):
        query, gallery = drawn(dataset, "indoor-search single-shot", trial)
        first = {(c, p): np.roll([1, 2, 3], c + p + trial)[0] for c in (1, 2) for p in (3, 4)}
        expected = [f"cam{c}/{p:04d}/{n:04d}.jpg" for (c, p), n in first.items()]
        assert [path for path, *_ in relative(gallery, folder)] == expected
        assert [(i.camid, i.pid) for i in query] == [(c, p) for c in (3, 6) for p in (3, 4) for _ in range(3)]
    assert (dataset.query, dataset.gallery) == drawn(dataset, "all-search single-shot", 0)
    names = [setting.name for setting in dataset.settings(trials=2)]
    assert names == [
        "all-search single-shot",
        "all-search multi-shot",
        "indoor-search single-shot",
        "indoor-search multi-shot",
    ]


def test_sysu_without_permutations_draws_as_the_community_does_and_says_so_once(tmp_path, caplog):
    folder = write_sysu(tmp_path, test=(3, 4), images=5, permutations=False)
    dataset = SYSUMM01(str(tmp_path))
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        _, gallery = drawn(dataset, "all-search single-shot", 3)
        dataset.settings()
    generator = random.Random(3)
    files = [f"{n:04d}.jpg" for n in range(1, 6)]
    expected = {f"cam{cam}/{pid:04d}/{generator.choice(files)}" for pid in (3, 4) for cam in (1, 2, 4, 5)}
    assert {path for path, *_ in relative(gallery, folder)} == expected
    assert len(caplog.records) == 1
    assert "rand_perm_cam.mat does not exist: the galleries are drawn by random.seed(trial)" in caplog.text


def test_sysu_holds_out_validation_identities_and_tests_them_by_the_same_protocol(tmp_path):
    folder = write_sysu(tmp_path, train=(1, 5), val=(2, 6), test=(3,), images=3)
    dataset = SYSUMM01(str(tmp_path), train_on="train", test_on="val")
    assert {item.pid for item in dataset.train} == {1, 5}
    assert {item.pid for item in dataset.test} == {2, 6}
    query, gallery = drawn(dataset, "all-search single-shot", trial=7)
    first = {(c, p): np.roll([1, 2, 3], c + p + 7)[0] for c in (1, 2, 4, 5) for p in (2, 6)}
    expected = [f"cam{c}/{p:04d}/{n:04d}.jpg" for (c, p), n in first.items()]
    assert [path for path, *_ in relative(gallery, folder)] == expected
    assert {item.pid for item in query} == {2, 6}
    assert {item.pid for item in SYSUMM01(str(tmp_path), train_on="train").test} == {3}
    assert dataset.checkpoint_tag() == {"TRAIN_ON": "train"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_on": "all"}, "TRAIN_ON is 'all'; expected one of trainval, train"),
        ({"test_on": "train"}, "TEST_ON is 'train'; expected one of test, val"),
        ({"test_on": "val"}, "TEST_ON val tests identities .* set DATASETS.SYSUMM01.TRAIN_ON train"),
    ],
)
def test_sysu_refuses_subsets_that_it_does_not_have_or_that_overlap(tmp_path, arguments, message):
    write_sysu(tmp_path)
    with pytest.raises(ConfigError, match=message):
        SYSUMM01(str(tmp_path), **arguments)


def test_regdb_reads_one_split(tmp_path):
    folder = write_regdb(tmp_path, pids=4, images=2)
    dataset = RegDB(str(tmp_path), split=2)
    assert relative(dataset.train, folder) == [
        (f"{side}/{pid}/{pid}_{n}.bmp", label, camera, modality)
        for side, camera, modality in (("Visible", 1, VISIBLE), ("Thermal", 2, INFRARED))
        for label, pid in enumerate((1, 3))
        for n in (1, 2)
    ]
    # The test identities have the same labels, and are other persons.
    assert {item.pid for item in dataset.test} == {0, 1}
    assert {item.path.split("/")[-2] for item in dataset.test} == {"2", "4"}
    query, gallery = drawn(dataset, "infrared-to-visible")
    assert {item.modality for item in query} == {INFRARED}
    assert {item.modality for item in gallery} == {VISIBLE}
    assert dataset.checkpoint_tag() == {"split": 2}


def test_llcm_reads_lists_and_test_folders(tmp_path):
    folder = write_llcm(tmp_path, train=2, test=(8, 9), images=1)
    dataset = LLCM(str(tmp_path))
    assert relative(dataset.train, folder) == [
        (f"{side}/{pid:04d}/{pid:04d}_c{cam:02d}_s0_f{pid}_{side}.jpg", pid, cam, modality)
        for side, modality in (("vis", VISIBLE), ("nir", INFRARED))
        for pid in (0, 1)
        for cam in (1, 3)
    ]
    places = [(item.modality, item.camid, item.pid) for item in dataset.test]
    assert places == [
        (modality, cam, pid)
        for modality in (VISIBLE, INFRARED)
        for cam in range(1, 10)
        for pid in (8, 9)
        if (modality, cam) != (INFRARED, 3)
    ]


def test_sysu_draws_at_random_where_it_is_told_although_permutations_are_there(tmp_path, caplog):
    folder = write_sysu(tmp_path, test=(3, 4), images=5)
    dataset = SYSUMM01(str(tmp_path), gallery="random")
    _, gallery = drawn(dataset, "all-search single-shot", 3)
    generator = random.Random(3)
    files = [f"{n:04d}.jpg" for n in range(1, 6)]
    expected = {f"cam{cam}/{pid:04d}/{generator.choice(files)}" for pid in (3, 4) for cam in (1, 2, 4, 5)}
    assert {path for path, *_ in relative(gallery, folder)} == expected
    assert {setting.draw for setting in dataset.settings()} == {"gallery by random.seed(trial)"}
    assert caplog.records == []
    official = SYSUMM01(str(tmp_path))
    assert {setting.draw for setting in official.settings()} == {"gallery by the official permutations"}
    with pytest.raises(ConfigError, match="GALLERY is 'fixed'; expected one of official, random"):
        SYSUMM01(str(tmp_path), gallery="fixed")


def test_llcm_gallery_is_the_released_draw(tmp_path):
    folder = write_llcm(tmp_path, train=2, test=(8, 9), images=4)
    _, gallery = drawn(LLCM(str(tmp_path)), "infrared-to-visible", 2)
    generator = random.Random(2)
    expected = []
    for pid in (8, 9):
        for cam in range(1, 10):
            files = sorted((folder / "test_vis" / f"cam{cam}" / f"{pid:04d}").iterdir())
            expected.append(str(generator.choice(files)))
    assert [item.path for item in gallery] == expected


def test_datasets_are_registered_and_built_from_the_config(tmp_path, cfg):
    write_regdb(tmp_path)
    write_llcm(tmp_path)
    cfg.DATASETS.REGDB.SPLIT = 2
    assert build_dataset(cfg, "RegDB").split == 2
    write_sysu(tmp_path)
    cfg.DATASETS.SYSUMM01.GALLERY = "random"
    cfg.DATASETS.SYSUMM01.TRAIN_ON, cfg.DATASETS.SYSUMM01.TEST_ON = "train", "val"
    sysu = build_dataset(cfg, "SYSUMM01")
    assert (sysu.gallery_draw, sysu.train_on, sysu.test_on) == ("random", "train", "val")
    assert all(name in DATASET_REGISTRY._obj_map for name in ("SYSUMM01", "RegDB", "LLCM"))


def test_each_side_needs_its_own_lists_alone(tmp_path):
    sysu, regdb, llcm = write_sysu(tmp_path), write_regdb(tmp_path), write_llcm(tmp_path)
    for path in (sysu / "exp/train_id.txt", sysu / "exp/val_id.txt", llcm / "idx/train_vis.txt"):
        path.unlink()
    for path in regdb.glob("idx/train_*"):
        path.unlink()
    for cls in (SYSUMM01, RegDB, LLCM):
        assert cls(str(tmp_path)).query
    write_list(sysu / "exp/train_id.txt", ["1"])
    write_list(sysu / "exp/val_id.txt", ["2"])
    (sysu / "exp/test_id.txt").unlink()
    assert {item.pid for item in SYSUMM01(str(tmp_path)).train} == {1, 2}


def test_tables_count_images_and_identities_by_modality(tmp_path, caplog):
    write_sysu(tmp_path, train=(1, 2), val=(5,), test=(3, 4), images=2)
    dataset = SYSUMM01(str(tmp_path))
    with caplog.at_level(logging.INFO, "fastreid.vireid.data"):
        dataset.show_train()
        dataset.show_test()
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in caplog.text.splitlines() if "| t" in row
    ]
    assert rows == [
        ["train", "3", "36", "6", "24 of 3 ids", "12 of 3 ids"],
        ["test", "2", "24", "6", "16 of 2 ids", "8 of 2 ids"],
    ]


def test_an_identity_of_one_modality_is_named_in_a_warning(tmp_path, caplog):
    folder = write_sysu(tmp_path, train=(1, 2), val=(5,), test=(3,), images=1)
    for camera in ("cam3", "cam6"):
        shutil.rmtree(folder / camera / "0002")
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        assert 2 in {item.pid for item in SYSUMM01(str(tmp_path)).train}
    assert "1 of 3 training identities have no infrared images" in caplog.text
    assert caplog.text.strip().endswith("identity 2")


# What is done to the files, what is then read, and the message, in which {} is the dataset's folder.
FAULTS = {
    "no folder": (
        SYSUMM01,
        lambda folder: shutil.rmtree(folder),
        "train",
        "{}: no such folder; expected the SYSU-MM01 dataset there",
    ),
    "no list": (
        SYSUMM01,
        lambda folder: (folder / "exp/val_id.txt").unlink(),
        "train",
        "{}/exp/val_id.txt does not exist; expected one line of identity numbers separated by commas",
    ),
    "letters for ids": (
        SYSUMM01,
        lambda folder: write_list(folder / "exp/test_id.txt", ["3,four"]),
        "test",
        "{}/exp/test_id.txt: 'four' is not an identity number; expected one line",
    ),
    "empty list": (
        SYSUMM01,
        lambda folder: write_list(folder / "exp/test_id.txt", [" "]),
        "test",
        "{}/exp/test_id.txt is empty",
    ),
    "binary list": (
        SYSUMM01,
        lambda folder: (folder / "exp/test_id.txt").write_bytes(b"\xff\xd8\xff"),
        "test",
        "{}/exp/test_id.txt cannot be read",
    ),
    "id without folder": (
        SYSUMM01,
        lambda folder: write_list(folder / "exp/test_id.txt", ["3,77,99"]),
        "test",
        "{}/exp/test_id.txt names identities 77, 99, of which {} has no image in any camera",
    ),
    "no camera folder": (
        SYSUMM01,
        lambda folder: shutil.rmtree(folder / "cam5"),
        "test",
        "{}/cam5: no such folder; expected one folder per identity",
    ),
    "image without number": (
        SYSUMM01,
        lambda folder: (folder / "cam2/0003/0001.jpg").rename(folder / "cam2/0003/front.jpg"),
        "test",
        "{}/cam2/0003/front.jpg: an image's name is expected to be its number",
    ),
    "no permutations in the file": (
        SYSUMM01,
        lambda folder: savemat(folder / "exp/rand_perm_cam.mat", {"other": 1}),
        "query",
        "{}/exp/rand_perm_cam.mat has no variable rand_perm_cam",
    ),
    "permutations of another form": (
        SYSUMM01,
        lambda folder: (folder / "exp/rand_perm_cam.mat").write_text("1 2 3 " * 99),
        "query",
        "{}/exp/rand_perm_cam.mat cannot be read as a MATLAB file",
    ),
    "permutations of another dataset": (
        SYSUMM01,
        lambda folder: write_permutations(folder / "exp/rand_perm_cam.mat", 9, 30),
        "query",
        "{}/exp/rand_perm_cam.mat draws image",
    ),
    "listed image missing": (
        RegDB,
        lambda folder: (folder / "Visible/2/2_1.bmp").unlink(),
        "train",
        "{}/idx/train_visible_1.txt, line 1: {}/Visible/2/2_1.bmp does not exist",
    ),
    "path from the root": (
        RegDB,
        lambda folder: write_list(folder / "idx/train_visible_1.txt", ["/Visible/1/1_1.bmp 0"]),
        "train",
        "train_visible_1.txt, line 1: '/Visible/1/1_1.bmp' begins with a slash; paths are relative",
    ),
    "line without label": (
        RegDB,
        lambda folder: write_list(folder / "idx/test_thermal_1.txt", ["Thermal/1/1_1.bmp"]),
        "test",
        "{}/idx/test_thermal_1.txt, line 1: found 'Thermal/1/1_1.bmp'; expected lines of an image path and",
    ),
    "empty image list": (
        LLCM,
        lambda folder: (folder / "idx/train_nir.txt").write_text("\n"),
        "train",
        "{}/idx/train_nir.txt is empty; expected lines of an image path and a label",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_file(fault, tmp_path):
    cls, damage, attribute, message = FAULTS[fault]
    folder = {SYSUMM01: write_sysu, RegDB: write_regdb, LLCM: write_llcm}[cls](tmp_path)
    damage(folder)
    with pytest.raises(DatasetError) as caught:
        getattr(cls(str(tmp_path)), attribute)
    text = str(caught.value)
    assert message.replace("{}", str(folder)) in text
    assert text.endswith("see datasets/README.md")
    assert "\n" not in text


@pytest.mark.parametrize("split", [0, 11, True])
def test_regdb_refuses_a_split_outside_1_to_10(split, tmp_path):
    write_regdb(tmp_path)
    with pytest.raises(DatasetError, match=r"DATASETS\.REGDB\.SPLIT is .*; RegDB has splits 1 to 10"):
        RegDB(str(tmp_path), split=split)


def test_a_missing_split_names_its_file(tmp_path):
    write_regdb(tmp_path, splits=(1,))
    with pytest.raises(DatasetError, match=r"idx/train_visible_4\.txt does not exist"):
        RegDB(str(tmp_path), split=4).train  # noqa: B018


def test_unknown_names_are_refused_with_the_known_ones(tmp_path, cfg):
    write_sysu(tmp_path)
    with pytest.raises(ConfigError, match=r"names 'SYSUMM1'; did you mean SYSUMM01\?.*Market1501"):
        build_dataset(cfg, "SYSUMM1")
    with pytest.raises(ConfigError, match="COMBINEALL True would train on the test identities of SYSUMM01"):
        SYSUMM01(str(tmp_path), combineall=True)


def test_a_toolkit_dataset_that_is_not_there_is_a_dataset_error(cfg):
    with pytest.raises(DatasetError, match=r"DukeMTMC: .* is not found; FASTREID_DATASETS"):
        build_dataset(cfg, "DukeMTMC")


def with_line(name, line):
    return lambda folder: (folder / name).write_text((folder / name).read_text() + line + "\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_line("idx/test_visible_1.txt", "Visible/1/1_1.bmp 0"),
            "RegDB, test images: .*1_1.bmp is listed twice",
        ),
        (
            with_line("idx/test_visible_1.txt", "./Visible/1/1_1.bmp 1"),
            "RegDB, test images: .* is listed under two labels, 0 and 1 .and 2 more such faults.",
        ),
        (
            with_line("idx/test_visible_1.txt", "../RegDB_2/Visible/9/1.bmp 0"),
            "RegDB, test images: .*/Visible/9/1.bmp leads out of ",
        ),
        (
            lambda folder: shutil.copy(folder / "idx/test_thermal_1.txt", folder / "idx/test_visible_1.txt"),
            "RegDB, test images: 6 of 6 visible images are in Thermal/, not in Visible/",
        ),
        (
            with_line("idx/test_visible_1.txt", "Visible/1/1_1.bmp " + "9" * 5000),
            "line 7: found .*; expected",
        ),
        (with_line("idx/test_visible_1.txt", "a" * 5000 + " 0"), "line 7: found 'a{80}'; expected lines of"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(tmp_path, change, message):
    folder = write_regdb(tmp_path)
    write_image(tmp_path / "RegDB_2/Visible/9/1.bmp", np.random.default_rng(0))
    change(folder)
    with pytest.raises(DatasetError, match=message) as error:
        _ = RegDB(str(tmp_path)).test
    assert len(str(error.value)) < 500


def test_a_training_image_that_is_listed_twice_is_a_counted_warning(tmp_path, caplog):
    folder = write_regdb(tmp_path)
    for number in (1, 2):
        with_line("idx/train_visible_1.txt", f"Visible/2/2_{number}.bmp 0")(folder)
    assert len(RegDB(str(tmp_path)).train) == 14
    assert "RegDB: 2 training images are listed twice and count twice, such as " in caplog.text


def test_a_pipe_in_the_place_of_a_list_is_not_waited_for(tmp_path):
    folder = write_sysu(tmp_path)
    (folder / "exp/test_id.txt").unlink()
    os.mkfifo(folder / "exp/test_id.txt")
    with pytest.raises(DatasetError, match="test_id.txt is no regular file, but a pipe, a socket"):
        _ = SYSUMM01(str(tmp_path)).test
