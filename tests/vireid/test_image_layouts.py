"""What is read from the paths of a folder's images, and what is refused."""

import datetime
from pathlib import PurePath

import pytest

from vireid import Modality
from vireid.errors import ConfigError
from vireid.image_layouts import Choices, Named, contradictions, read_paths
from vireid.image_names import camera_name, kind_of

VISIBLE, INFRARED = Modality.VISIBLE, Modality.INFRARED


def read(*paths, **choices):
    return read_paths([PurePath(path) for path in paths], Choices(**choices))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            (name, "words")
            for name in ("rgb", "Thermal", "test_nir", "bounding_box_test", "val", "outdoor rgb")
        ),
        *((name, "camera") for name in ("cam3", "cam_gate", "Camera 12", "camA", "c3", "c_03")),
        *((name, "text") for name in ("D1", "camping", "c4rl", "anna", "test tube", "0001a", "12.5")),
        *((name, "date") for name in ("20260131", "2026-01-31")),
        *((name, "number") for name in ("0001", "20261331", "12")),
        ("gate_t0001", "track"),
    ],
)
def test_what_a_folder_is_by_its_name(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cam03", "3"),
        ("03", "3"),
        ("camera_gate", "gate"),
        ("gate", "gate"),
        ("camA", "A"),
        ("c3", "3"),
        ("c4rl", "c4rl"),
    ],
)
def test_a_camera_has_one_name(text, name):
    assert camera_name(text) == name


def test_a_camera_s_name_is_no_identity():
    paths = [
        f"{pid}/{kind}/{camera}/x.jpg"
        for pid in ("0001", "0002")
        for kind in ("rgb", "ir")
        for camera in ("D1", "D2")
    ]
    found, lines = read(*paths)
    assert found[1] == Named("0001", None, VISIBLE)
    assert lines == [
        "level 1: identity; 2 names (0001, 0002), in 8 images",
        "level 2: modality; 2 names (ir, rgb), in 8 images",
        "level 3: nothing; 2 names (D1, D2), in 8 images",
    ]
    found, lines = read(*paths, camera_level=3)
    assert found[1] == Named("0001", "D2", VISIBLE)
    assert lines[2] == "level 3: camera; 2 names (D1, D2), in 8 images"
    assert read(*paths, pattern="(?P<camera>D.)/")[0][1] == Named("0001", "D2", VISIBLE)
    assert read("D1/ann/a_ir.jpg", "D1/bob/a_ir.jpg", identity_level=2)[0][1] == Named("bob", None, INFRARED)


def test_a_date_is_no_identity():
    found, lines = read("rgb/20260131/0003/20260131_c3_0001.jpg", "rgb/20260130/0003/20260131_c4_0001.jpg")
    assert found[0] == Named("0003", "3", VISIBLE)
    assert lines[1:] == [
        "level 2: date; 2 names (20260130, 20260131), in 2 images",
        "level 3: identity; 1 names (0003), in 2 images",
        "file names: camera; 2 names (20260131_c3_0001.jpg, 20260131_c4_0001.jpg), in 2 images",
    ]
    assert read("rgb/20260131_c3_0001.jpg")[0] == [Named(None, "3", VISIBLE)]
    assert read("20260131_183000.jpg")[0] == [Named(time=datetime.datetime(2026, 1, 31, 18, 30))]
    # Of numbers one of which is no date, none is a date.
    assert [said.identity for said in read("20260131/a_ir.jpg", "20260199/a_ir.jpg")[0]] == [
        "20260131",
        "20260199",
    ]


def test_the_modality_is_a_folder_s_or_the_end_s_or_one_word_of_all_names():
    found, _ = read("rgb/1/a_1.jpg", "rgb/1/ir_lamp_off_1.jpg", "ir/1/a.jpg")
    assert [said.modality for said in found] == [VISIBLE, VISIBLE, INFRARED]
    found, _ = read("1/ir_lamp_off_1.jpg", "1/hall_2_a.jpg")
    assert [said.modality for said in found] == [None, None]
    found, _ = read("1/a_rgb_1.jpg", "1/b_ir_22.jpg")
    assert [said.modality for said in found] == [VISIBLE, INFRARED]


@pytest.mark.parametrize(
    ("paths", "fault"),
    [
        (
            ["rgb/1/a_ir.jpg", "rgb/1/b.jpg"],
            "rgb/1/a_ir.jpg: it names the modalities infrared and visible (1 of 2 images)",
        ),
        (["visible_and_infrared/1/a.jpg"], "it names the modalities infrared and visible"),
        (["cam1/0007/0007_c2s1_000451_03.jpg"], "it names the cameras 1 and 2"),
        (["rgb/0008/0007_c2s1_000451_03.jpg"], "it names the identities 7 and 8"),
        (["train/query/1/a_ir.jpg"], "it names the subsets query and train"),
    ],
)
def test_what_contradicts_itself(paths, fault):
    paths = [PurePath(path) for path in paths]
    (line,) = contradictions(paths, read_paths(paths, Choices())[0])
    assert fault in line


def test_levels_and_patterns_settle_contradictions():
    path = "cam1/0008/0007_c2s1_000451_03.jpg"
    assert read(path, identity_level=2, camera_level=1)[0] == [Named("0008", "1")]
    pattern = r"(?P<identity>\d+)_c(?P<camera>\d)"
    assert read(path, pattern=pattern)[0] == [Named("0007", "2")]


def test_folders_of_test_and_query_are_of_the_query():
    found, lines = read(
        "test/query/1/a_ir.jpg", "test/gallery/1/a_rgb.jpg", "val/1/a_rgb.jpg", "test_nir/1/a.jpg"
    )
    assert [said.subset for said in found] == ["query", "gallery", "val", "test"]
    assert lines[0] == "level 1: subset; 1 names (test), in 2 images"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {},
            r"ann/D1/a.jpg: its identity could be level 1 \(ann, ...\) or level 2 \(D1, ...\); say its level",
        ),
        ({"identity_level": 3}, "ann/D1/a.jpg has 2 folders, and none of level 3"),
        ({"pattern": "(", "identity_level": 1}, "is no regular expression"),
        (
            {"pattern": "(?P<person>a)", "identity_level": 1},
            r"expected some of the groups \(\?P<identity>...\), ",
        ),
        ({"pattern": "(?P<identity>ann)"}, "does not match bob/D1/a.jpg"),
        ({"pattern": "(?P<identity>ann|bob)/(?P<modality>D1)"}, "the modality of ann/D1/a.jpg is 'd1'"),
    ],
)
def test_what_cannot_be_read(choices, message):
    with pytest.raises(ConfigError, match=message):
        read("ann/D1/a.jpg", "bob/D1/a.jpg", **choices)
