"""What names and tables say of an image."""

import datetime
from pathlib import Path, PurePath

import pytest

from vireid.errors import UserError
from vireid.inference.labels import Labels, image_files, labels_of_name, merged, read_table

NAMES = {
    "cam3/0007/0012.jpg": Labels("0007", "3"),
    "SYSU-MM01/cam1/0007/0012.jpg": Labels("0007", "1"),
    "Visible/12/male_front_v_00012_100.bmp": Labels("12", modality="visible"),
    "Thermal/12/male_front_t_00012_100.bmp": Labels("12", modality="infrared"),
    "test_nir/cam4/0303/0303_c04_s171429_f12990_nir.jpg": Labels("0303", "4", modality="infrared"),
    "vis/0303/0303_c02_s171429_f12990_vis.jpg": Labels("0303", "2", modality="visible"),
    "bounding_box_test/0002_c1s1_000451_03.jpg": Labels("0002", "1"),
    "bounding_box_test/-1_c3s2_000451_03.jpg": Labels(None, "3"),
    "bounding_box_test/0000_c3s2_000451_03.jpg": Labels(None, "3"),
    "0005_c2_f0046985.jpg": Labels("0005", "2"),
    "camera_gate/20260131_183005.jpg": Labels(camera="gate", time=datetime.datetime(2026, 1, 31, 18, 30, 5)),
    "gate 2026-01-31T18-30-05 rgb.png": Labels(
        time=datetime.datetime(2026, 1, 31, 18, 30, 5), modality="visible"
    ),
    "20261331_183005.jpg": Labels(),
    "visible_and_infrared/a.jpg": Labels(),
    "holiday/beach.jpg": Labels(),
    "12.jpg": Labels(),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_known_layouts(name):
    assert labels_of_name(PurePath(name)) == NAMES[name]


def test_a_table_says_more_than_names(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text(
        "path,camera,identity,time,modality\n"
        "cam1/0007/1.jpg,9,,2026-01-31T18:30:00,\n"
        "cam1/0007/2.jpg,, kim ,2026-01-31,infrared\n",
        encoding="utf-8-sig",
    )
    labels = read_table(table, tmp_path)
    first, second = (str(tmp_path / f"cam1/0007/{n}.jpg") for n in (1, 2))
    named = labels_of_name(PurePath("cam1/0007/1.jpg"))
    assert merged(labels[first], named) == Labels("0007", "9", datetime.datetime(2026, 1, 31, 18, 30))
    assert merged(labels[second], named) == Labels("kim", "1", datetime.datetime(2026, 1, 31), "infrared")
    assert merged(None, named) == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,camera\n",
            r"its columns are file, camera; expected path, and some of identity, camera, time, mod",
        ),
        ("", "its columns are none"),
        ("identity,path\n7\n", "line 2: it has no path"),
        ("identity,path\n\n\n7,\n", "line 4: it has no path"),
        ("identity;path\n7;a.jpg\n", "separated by commas, not by semicolons"),
        ("Identity,Path\n7,a.jpg\n", "its columns are Identity, Path; expected path, .* in small letters"),
        ("identity,path\n7,\n", "line 2: it has no path"),
        ("path,modality\na.jpg,thermal\n", "line 2: modality is 'thermal'; expected visible or infrared"),
        ("path,time\na.jpg,\nb.jpg,noon\n", "line 3: time is 'noon'; expected a time such as 2026-01-31"),
        ("path,time\na.jpg,2026-01-31T18:30:00+01:00\n", r"time is '2026-01-31T18:30:00\+01:00'; expected"),
        (None, "cannot be read as a CSV file: No such file"),
        (b"path\n\xff\n", "cannot be read as a CSV file"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    table = tmp_path / "labels.csv"
    if text is not None:
        table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        read_table(table, tmp_path)


def test_files_below_a_folder_are_found_in_order_and_once(tmp_path):
    for name in ("b/2.JPG", "b/1.png", "a.jpeg", "notes.txt", ".hidden/3.jpg", "b/.4.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "b" / "again").symlink_to(tmp_path)
    assert image_files(Path(tmp_path)) == (
        [str(tmp_path / name) for name in ("a.jpeg", "b/1.png", "b/2.JPG")],
        1,
    )
