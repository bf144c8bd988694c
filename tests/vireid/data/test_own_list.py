"""The dataset List, and the command that writes a list of a folder."""

import csv
import json
import pickle
import random

import pytest
from PIL import Image

from configs import PROJECTS, TINY
from vireid.data import build_dataset
from vireid.data.datasets.own_list import List
from vireid.errors import ConfigError, DatasetError
from vireid.modality import Modality

HEADER = "path,identity,camera,modality,subset"


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 16)).save(path)


@pytest.fixture
def make_list(tmp_path):
    """Write a list of images, which are there: its lines -> its file."""

    def make(*lines, header=HEADER, images=True):
        file = tmp_path / "list.csv"
        file.write_text("\n".join([header, *lines]) + "\n")
        for line in lines if images else ():
            picture(tmp_path / line.split(",")[0])
        return file

    return make


def test_a_table_is_a_dataset(cfg, make_list, tmp_path):
    cfg.DATASETS.LIST.FILE = str(
        make_list(
            *("b/1.png,7,2,rgb,train", "b/2.png,7,3,thermal,train", "a/1.png,9,2,Visible,test"),
            *("a/2.png,9,3,ir,test", "a/3.png,8,1,vis,test"),
        )
    )
    dataset = build_dataset(cfg, "List")
    assert [item[:4] for item in dataset.train] == [
        (str(tmp_path / "b/1.png"), 7, 2, Modality.VISIBLE),
        (str(tmp_path / "b/2.png"), 7, 3, Modality.INFRARED),
    ]
    assert [item.path for item in dataset.test] == [str(tmp_path / f"a/{n}.png") for n in (3, 1, 2)]
    to_visible, to_infrared = dataset.settings()
    assert (to_visible.name, to_visible.direction) == ("infrared-to-visible", "i2v")
    ((trial,), (back,)) = to_visible.trials, to_infrared.trials
    assert (trial.query.tolist(), trial.gallery.tolist()) == ([2], [0, 1])
    assert (back.query.tolist(), back.gallery.tolist()) == ([0, 1], [2])


def test_names_are_numbered_in_their_order(make_list):
    file = make_list("1.png,eve,north,vis,test", "2.png,adam,south,ir,test", "3.png,eve,south,ir,test")
    dataset = List(str(file))
    assert [(item.pid, item.camid) for item in dataset.test] == [(1, 0), (0, 1), (1, 1)]


def test_numbers_too_long_for_a_tensor_are_names(make_list):
    long = "1" * 25
    dataset = List(str(make_list(f"1.png,{long},1,vis,test", "2.png,2,2,ir,test")))
    assert sorted(item.pid for item in dataset.test) == [0, 1]


def test_a_list_of_a_folder_follows_links_and_leaves_hidden_ones_out(command, tmp_path):
    picture(tmp_path / "elsewhere/rgb/7/1.png")
    for place in ("all/ir/7/2.png", "all/.thumbnails/rgb/8/1.png"):
        picture(tmp_path / place)
    (tmp_path / "all/rgb").symlink_to(tmp_path / "elsewhere/rgb")
    status, _, error = command("data", "list", str(tmp_path / "all"))
    assert status == 0, error
    rows = list(csv.DictReader((tmp_path / "all/list.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == ["ir/7/2.png", "rgb/7/1.png"]


def test_a_column_fixes_queries_and_gallery(make_list):
    lines = [
        f"{n}.png,1,1,{side},{subset}"
        for n, (side, subset) in enumerate(
            [("vis", "query"), ("vis", "gallery"), ("ir", "query"), ("ir", "gallery"), ("ir", "test")]
        )
    ]
    to_visible, to_infrared = List(str(make_list(*lines))).settings()
    assert (to_visible.trials[0].query.tolist(), to_visible.trials[0].gallery.tolist()) == ([2, 4], [1])
    assert (to_infrared.trials[0].query.tolist(), to_infrared.trials[0].gallery.tolist()) == ([0], [3, 4])


def test_galleries_are_drawn_by_seed(make_list):
    lines = [f"{n}.png,{n // 4},{n % 4 // 2},vis,test" for n in range(8)] + ["9.png,1,5,ir,test"]
    (to_visible, _) = List(str(make_list(*lines)), shots=1).settings(trials=3)
    positions = {(item.pid, item.camid): [] for item in List(str(make_list(*lines))).test}
    for position, item in enumerate(List(str(make_list(*lines))).test):
        positions[item.pid, item.camid].append(position)
    groups = [group for key, group in sorted(positions.items()) if key != (1, 5)]
    for seed, trial in enumerate(to_visible.trials):
        generator = random.Random(seed)
        assert trial.gallery.tolist() == [generator.sample(group, 1)[0] for group in groups]
    assert to_visible.draw == "1 of each identity and camera by random.seed(trial)"


@pytest.mark.parametrize(
    ("lines", "header", "images", "message"),
    [
        (
            (),
            "path,identity,camera",
            True,
            "its first line lacks modality, subset; expected the",
        ),
        (("1.png,1,1,viz,test",), HEADER, True, "line 2: modality is 'viz'; did you mean vis?"),
        (("1.png,1,1,vis,val",), HEADER, True, "line 2: subset is 'val'; known: gallery, query, test, train"),
        (("1.png,,1,vis,test",), HEADER, True, "line 2: no identity"),
        (
            ("1.png,1,1,vis,test", "./1.png,1,1,vis,test"),
            HEADER,
            True,
            "line 3: ./1.png stands in line 2",
        ),
        (("1.png,1,1,vis,test",), HEADER, False, "line 2: there is no image 1.png"),
        (("", "1.png,1,1,vis,test"), HEADER, False, "line 3: there is no image 1.png"),
        (
            ("1.png;1;1;vis;test",),
            HEADER.replace(",", ";"),
            False,
            "separated by commas, not by semicolons",
        ),
        (("1.png\t1\t1\tvis\ttest",), HEADER.replace(",", "\t"), False, "separated by commas, not by tabs"),
        (
            ("1.png,1,1,vis,test",),
            HEADER.title(),
            True,
            "its columns are Path, Identity,",
        ),
        (("1.png,1,1,vis,test",), f"{HEADER},path", True, "subset, track, each once"),
        (("1.png,1,1,vis,test,a,b",), HEADER, True, "line 2: it has 7 values for 5 columns"),
        (("1.png,1,1,vis,test",), HEADER, True, "no test is possible; expected images of subset test"),
    ],
)
def test_a_fault_in_the_table_is_named(make_list, lines, header, images, message):
    with pytest.raises(DatasetError) as error:
        List(str(make_list(*lines, header=header, images=images))).settings()
    assert message in str(error.value)


@pytest.mark.parametrize("file", ["", "none.csv"])
def test_a_list_that_is_not_there(cfg, file):
    cfg.DATASETS.LIST.FILE = file
    with pytest.raises(ConfigError, match=f"DATASETS.LIST.FILE is '{file}'; expected a CSV file"):
        build_dataset(cfg, "List")


def rows_of(file):
    with open(file, newline="") as lines:
        return [tuple(row.values()) for row in csv.DictReader(lines)]


def test_a_list_of_two_folders(command, tmp_path):
    for path in ("visible/0001/a.jpg", "visible/0002/a.jpg", "infrared/0001/b.png", "infrared/0002/b.png"):
        picture(tmp_path / path)
    status, printed, _ = command("data", "list", tmp_path, "--seed", 1)
    assert status == 0 and "list.csv: 4 images" in printed
    rows = rows_of(tmp_path / "list.csv")
    assert [row[:4] for row in rows] == [
        ("infrared/0001/b.png", "0001", "2", "infrared"),
        ("infrared/0002/b.png", "0002", "2", "infrared"),
        ("visible/0001/a.jpg", "0001", "1", "visible"),
        ("visible/0002/a.jpg", "0002", "1", "visible"),
    ]
    (tested,) = random.Random(1).sample(["0001", "0002"], 1)
    assert all((row[4] == "test") == (row[1] == tested) for row in rows)


def test_a_list_of_folders_by_identity(command, tmp_path):
    for path in (
        "train/ann/rgb/1.jpg",
        "train/ann/ir/1.jpg",
        "test/bob/cam3/x_vis.jpg",
        "test/bob/cam4/x_nir.jpg",
    ):
        picture(tmp_path / "photos" / path)
    output = tmp_path / "elsewhere.csv"
    assert command("data", "list", tmp_path / "photos", "--output", output)[0] == 0
    assert rows_of(output) == [
        ("photos/test/bob/cam3/x_vis.jpg", "bob", "3", "visible", "test"),
        ("photos/test/bob/cam4/x_nir.jpg", "bob", "4", "infrared", "test"),
        ("photos/train/ann/ir/1.jpg", "ann", "2", "infrared", "train"),
        ("photos/train/ann/rgb/1.jpg", "ann", "1", "visible", "train"),
    ]


def test_a_list_of_names_as_those_of_market(command, tmp_path):
    names = ("bounding_box_train/0002_c1s1_000451_03.jpg", "query/0005_c3s1_000351_01.jpg")
    for name in (
        *names,
        "bounding_box_test/0005_c2s1_000351_01.jpg",
        "bounding_box_test/-1_c2s1_000001_00.jpg",
    ):
        picture(tmp_path / name)
    assert command("data", "list", tmp_path, "--infrared-cameras", 3, 6)[0] == 0
    assert [row[1:] for row in rows_of(tmp_path / "list.csv")] == [
        ("0005", "2", "visible", "gallery"),
        ("0002", "1", "visible", "train"),
        ("0005", "3", "infrared", "query"),
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/1.jpg", "a/1.jpg: its path does not say its modality; see vireid data list --help"),
        ("rgb/1.jpg", "rgb/1.jpg: its path does not say its identity"),
        ("a.txt", "holds no image"),
    ],
)
def test_images_that_no_path_describes(command, tmp_path, name, message):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    status, _, error = command("data", "list", tmp_path)
    assert status == 2 and message in error


def test_a_listed_folder_is_checked_and_evaluated(command, generated_root, tmp_path):
    regdb = generated_root / "RegDB"
    assert command("data", "list", regdb, "--output", tmp_path / "list.csv")[0] == 0
    file = ["DATASETS.LIST.FILE", tmp_path / "list.csv"]
    status, printed, _ = command("data", "check", "--dataset", "List", *file)
    assert status == 0 and printed.endswith("no faults\n")
    options = [item for pair in TINY.items() for item in pair]
    tests = ["DATASETS.TESTS", "['List']", "OUTPUT_DIR", tmp_path]
    config = ["--config-file", PROJECTS / "VIReID/configs/sysu.yml"]
    assert command("evaluate", *config, *options, *tests, *file)[0] == 0
    results = json.loads((tmp_path / "eval" / "results.json").read_text())["results"]["List"]
    assert list(results) == ["infrared-to-visible", "visible-to-infrared"]


TWO = [f"{kind}/000{n}/{name}.jpg" for kind in ("rgb", "ir") for n in (1, 2) for name in "ab"]


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        (
            [f"rgb/0001/{name}.jpg" for name in "abcd"],
            [],
            "all 4 images are of one identity, 0001; --identity-level",
        ),
        ([f"{kind}/{n}.jpg" for kind in ("rgb/7", "ir/8") for n in range(2)], [], None),
        ([f"rgb/{n}/a.jpg" for n in range(4)], [], "all 4 images are of an identity of its own each"),
        ([f"rgb/{n}/a.jpg" for n in range(4)], ["--identity-level", 2], None),
        ([f"camA/{path}" for path in TWO], [], "all 8 images are of one camera, A"),
        ([f"camA/{path}" for path in TWO], ["--camera-level", 1], None),
        (["rgb/1/a_ir.jpg", *TWO], [], "it names the modalities infrared and visible (1 of 9 images)"),
        (["train/rgb/1/a.jpg", *TWO], [], "its path does not say its subset, as others do"),
        (["cam1/rgb/0001/c.jpg", *TWO], [], "its path does not say its camera, as others do"),
    ],
)
def test_lists_that_were_probably_not_meant(command, tmp_path, paths, options, message):
    for path in paths:
        picture(tmp_path / "photos" / path)
    status, _, error = command(
        "data", "list", tmp_path / "photos", "--output", tmp_path / "list.csv", *options
    )
    assert (status == 0) == (message is None), error
    assert (tmp_path / "list.csv").exists() == (message is None)
    assert message is None or message in error


def test_what_a_list_leaves_out_is_counted(command, tmp_path):
    for path in TWO:
        for subset in ("train", "val", "test"):
            picture(tmp_path / subset / path)
    for name in (
        "test/rgb/0001/c.tif",
        "train/ir/0001/c.webp",
        "notes.txt",
        "train/rgb/x/-1_c1s1_000001_00.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    status, printed, _ = command("data", "list", tmp_path)
    assert status == 0
    told = [line for line in printed.splitlines() if line.startswith("left out")]
    assert told == [
        "left out, formats that are not read: 2 images, such as test/rgb/0001/c.tif, train/ir/0001/c.webp",
        "left out, no person: 1 images, such as train/rgb/x/-1_c1s1_000001_00.jpg",
        "left out, the subset val: 8 images, such as val/ir/0001/a.jpg, val/ir/0001/b.jpg, val/ir/0002/a.jpg",
        "left out, other files: 1",
    ]
    assert {row[4] for row in rows_of(tmp_path / "list.csv")} == {"train", "test"}


def test_faults_name_identities_and_cameras_as_the_list_does(command, make_list):
    lines = [f"{kind}_1.png,P-0001,gate,{kind},train" for kind in ("vis", "ir")]
    lines += [f"{kind}_2.png,P-0002,gate,{kind},test" for kind in ("vis", "ir")]
    file = make_list(*lines, "x.png,P-0001,yard,vis,test")
    status, printed, _ = command("data", "check", "--dataset", "List", "DATASETS.LIST.FILE", file)
    assert status == 1
    assert "fault: 1 of the test identities (identity P-0001) are also in the training set" in printed
    assert "visible images of camera gate: 2 of 2 that were looked at have no color" in printed
    assert "| yard " in printed
    item = pickle.loads(pickle.dumps(List(str(file)).train[0]))
    assert (f"{item.pid} {item.pid:03d}", item.pid + 1, json.dumps(item.pid)) == ("P-0001 000", 1, "0")
