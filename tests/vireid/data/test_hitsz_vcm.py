"""HITSZ-VCM: its lists, tracks and both directions; what is wrong with them."""

import pytest

from vireid import Modality
from vireid.data.datasets import HITSZVCM
from vireid.data.verification import verify
from vireid.errors import DatasetError

from .layouts import TEST_TRACKS, TRAIN_TRACKS, write_list, write_vcm


def lines(path):
    return path.read_text().splitlines()


def change_line(path, number, line):
    write_list(path, [line if n == number else old for n, old in enumerate(lines(path), start=1)])


@pytest.mark.parametrize("images", ["Train Test", ""])
def test_tracks_of_twelve_frames_and_more_are_read_in_their_order(tmp_path, images):
    folder = write_vcm(tmp_path, images)
    dataset = HITSZVCM(str(tmp_path))
    for subset, tracks in (("train", TRAIN_TRACKS), ("test", TEST_TRACKS)):
        expected = []
        for number, (side, frames, pid, camera) in enumerate(tracks, start=1):
            place = f"{pid:04d}/{'ir' if side == 1 else 'rgb'}/D{camera}"
            within = folder / subset.capitalize() if images else folder
            modality = Modality.INFRARED if side == 1 else Modality.VISIBLE
            if frames >= 12:
                expected += [
                    (f"{within}/{place}/{n}.jpg", pid, camera, modality, number) for n in range(1, frames + 1)
                ]
        assert getattr(dataset, subset) == expected


def test_queries_and_gallery_are_tracks_and_leave_out_the_querys_camera(tmp_path):
    write_vcm(tmp_path)
    dataset = HITSZVCM(str(tmp_path))
    test = dataset.test
    to_visible, to_infrared = dataset.settings()
    assert [(s.name, s.direction, s.unique_pids) for s in (to_visible, to_infrared)] == [
        ("infrared-to-visible", "i2v", False),
        ("visible-to-infrared", "v2i", False),
    ]
    ((trial,), (reverse,)) = to_visible.trials, to_infrared.trials
    assert [test[p].track for p in trial.query] == [1, 4] and [test[p].track for p in trial.gallery] == [
        2,
        3,
        5,
    ]
    assert all(test[p].path.endswith("/1.jpg") for p in (*trial.query, *trial.gallery))
    assert (reverse.query == trial.gallery).all() and (reverse.gallery == trial.query).all()
    # Identity 2 by camera 1: its visible track of camera 1 is left out; identity 3 has none of camera 1.
    assert trial.exclude().tolist() == [[True, False, False], [False, False, False]]
    assert dataset.query == [test[p] for p in trial.query]


def test_a_published_size_and_faults_are_found_by_the_check(tmp_path):
    folder = write_vcm(tmp_path)
    names = folder / "info/train_name.txt"
    exchanged = lines(names)[2], lines(names)[37]
    for number, name in zip((38, 3), exchanged):
        change_line(names, number, name)
    write_list(folder / "info/query_IDX.txt", ["1 3"])
    found = verify(HITSZVCM(str(tmp_path)), sample=0, progress=False)
    listed = [fault for fault in found.faults if "info" in fault]
    assert listed == [
        f"{folder}/info/query_IDX.txt does not name the infrared tracks: 2 differ",
        f"{folder}/info/track_train_info.txt, line 1: by their names, 1 of 12 frames are of another person, "
        "modality or camera, such as 0004M2D1T4F2.jpg",
        f"{folder}/info/track_train_info.txt, line 4: by their names, 1 of 12 frames are of another person, "
        "modality or camera, such as 0001M2D1T1F3.jpg",
    ]
    assert "tracks: 4 for training, 5 for testing" in found.notes
    # As in the released code, such a frame has the labels of its track.
    assert HITSZVCM(str(tmp_path)).train[2][1:3] == (1, 1)


FAULTS = {
    "no number": (
        "track_test_info.txt",
        2,
        "2 13 26 0002 x",
        "line 2: found '2 13 26 0002 x'; expected lines of five",
    ),
    "four numbers": ("track_test_info.txt", 2, "2 13 26 2", "line 2: found '2 13 26 2'"),
    "modality": ("track_test_info.txt", 2, "3 13 26 2 1", "line 2: found '3 13 26 2 1'"),
    "beyond the names": ("track_test_info.txt", 6, "2 63 68 3 3", "line 6: found .* of 67 names"),
    "backwards": ("track_test_info.txt", 2, "2 26 13 2 1", "line 2: found '2 26 13 2 1'"),
    "from 0": ("track_test_info.txt", 1, "1 0 12 2 1", "line 1: found '1 0 12 2 1'"),
    "a name": (
        "test_name.txt",
        2,
        "0002/ir/D1/2.jpg",
        "line 2: found '0002/ir/D1/2.jpg'; expected lines such as",
    ),
    "a path in a name": ("test_name.txt", 2, "0002M1D1T1F../2.jpg", "line 2: found '0002M1D1T1F../2.jpg'"),
    "a file": ("test_name.txt", 2, "0002M1D1T1F99.jpg", "line 2: .*/Test/0002/ir/D1/99.jpg does not exist"),
    "an empty line": ("test_name.txt", 2, "", "line 2 is empty; expected lines such as 0001M2D3T1F1.jpg"),
    "a query": ("query_IDX.txt", 1, "1 7", "line 1: found '7'; expected numbers of lines .*, 1 to 6"),
    "a query 0": ("query_IDX.txt", 1, "0 4", "line 1: found '0'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_list_is_one_line_that_names_it(tmp_path, fault):
    folder = write_vcm(tmp_path)
    name, number, line, message = FAULTS[fault]
    change_line(folder / "info" / name, number, line)
    with pytest.raises(DatasetError, match=message) as error:
        HITSZVCM(str(tmp_path)).settings()
    assert str(error.value).startswith(f"{folder}/info/{name}, line {number}")
    assert "\n" not in str(error.value) and str(error.value).endswith("see datasets/README.md")


def test_missing_lists_and_tracks_that_are_all_short(tmp_path):
    folder = write_vcm(tmp_path)
    write_list(folder / "info/track_train_info.txt", ["2 1 11 1 1"])
    with pytest.raises(DatasetError, match="track_train_info.txt has no track of 12 frames or more"):
        _ = HITSZVCM(str(tmp_path)).train
    (folder / "info/test_name.txt").unlink()
    with pytest.raises(DatasetError, match="test_name.txt does not exist; expected lines such as"):
        _ = HITSZVCM(str(tmp_path)).test
