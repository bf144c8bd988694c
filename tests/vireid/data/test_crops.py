"""Crops of a small video and of a folder of frames, by a tracker's boxes."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from vireid.data.boxes import Box, cut
from vireid.data.datasets import List
from vireid.data.video import frames_of_folder, frames_of_video
from vireid.errors import DatasetError
from vireid.inference.labels import read_table

HEIGHT, WIDTH, RATE, COUNT = 48, 64, 10, 6
PERSON = {1: ((200, 40, 40), 10, 6), 2: ((40, 40, 200), 40, 12)}  # color, left and top in the first frame
SIZE = (12, 24)  # width, height


def pictures(gray=False):
    """Frames in which person 1 walks two pixels a frame to the right, and person 2 to the left."""
    for number in range(COUNT):
        pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for track, (color, left, top) in PERSON.items():
            left += 2 * number * (1 if track == 1 else -1)
            pixels[top : top + SIZE[1], left : left + SIZE[0]] = (90, 90, 90) if gray else color
        yield Image.fromarray(pixels)


def boxes():
    """MOT lines of both persons: as BoxMOT writes them, and as MOTChallenge does."""
    lines = []
    for number in range(1, COUNT + 1):
        for track, (_, left, top) in PERSON.items():
            left += 2 * (number - 1) * (1 if track == 1 else -1)
            values = (number, track, left, top, *SIZE)
            lines.append(" ".join(map(str, (*values, 0, 0, -1))))
            if track == 2:
                lines[-1] = ",".join(f"{value:.2f}" for value in values) + ",0.9,-1,-1,-1"
    return lines


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "gate"
    folder.mkdir()
    for number, picture in enumerate(pictures(), start=1):
        picture.save(folder / f"{number}.png")  # 10.png would come before 2.png by name
    (folder / "notes.txt").write_text("")
    file = tmp_path / "gate.txt"
    file.write_text("\n".join(boxes()) + "\n")
    return folder, file


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "gate.avi")


def write_video(path, gray=False):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj444p"
        stream.options = {"qscale": "2"}
        for picture in pictures(gray):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return path


def rows_of(output):
    with open(output / "crops.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_video_is_cut_into_tracks_and_listed(command, video, paths, tmp_path):
    output = tmp_path / "crops" / "gate"
    words = ("--boxes", paths[1], "--output", output, "--start", "2026-01-31T18:30:00")
    status, printed, error = command("data", "crops", "--video", video, *words)
    assert (status, error) == (0, "")
    assert printed == f"{output}/crops.csv: 12 visible crops of 2 tracks\n"
    rows = rows_of(output)
    assert [row["path"] for row in rows] == [
        f"gate_t{track:04d}/{number:06d}.jpg" for track in (1, 2) for number in range(1, COUNT + 1)
    ]
    assert rows[1] == {
        "path": "gate_t0001/000002.jpg",
        "identity": "",
        "camera": "gate",
        "modality": "visible",
        "subset": "test",
        "time": "2026-01-31T18:30:00.100",
        "track": "gate_t0001",
    }
    for row in rows:
        with Image.open(output / row["path"]) as crop:
            assert crop.size == SIZE
            color = np.median(np.asarray(crop), axis=(0, 1))  # JPEG blurs the edges
        assert np.abs(color - PERSON[int(row["track"][-1])][0]).max() < 12
    # Both readers of tables take it; who it is, somebody has to write into it.
    labels = read_table(output / "crops.csv", output)[str(output / "gate_t0002/000001.jpg")]
    assert (labels.identity, labels.camera, labels.modality) == (None, "gate", "visible")
    with pytest.raises(DatasetError, match="line 2: no identity"):
        _ = List(str(output / "crops.csv")).test
    named = (output / "crops.csv").read_text().replace(".jpg,,gate", ".jpg,7,gate")
    (output / "crops.csv").write_text(named)
    assert len({item.track for item in List(str(output / "crops.csv")).test}) == 2


def test_a_folder_of_frames_needs_no_package_and_counts_its_images(command, paths, tmp_path):
    output = tmp_path / "out"
    words = ("--boxes", paths[1], "--output", output, "--margin", "0.25", "--every", "4")
    status, printed, _ = command("data", "crops", "--frames", paths[0], *words)
    assert status == 0 and "4 visible crops of 2 tracks" in printed
    rows = rows_of(output)
    assert [row["path"][-10:] for row in rows] == ["000001.jpg", "000005.jpg"] * 2
    assert {row["time"] for row in rows} == {""}
    for row in rows:
        with Image.open(output / row["path"]) as crop:
            assert crop.size == (18, 36)
    timed = tmp_path / "timed"
    words = ("--boxes", paths[1], "--output", timed, "--start", "2026-01-31T18:30:00", "--fps", "5")
    assert command("data", "crops", "--frames", paths[0], *words, "--camera", "cam_2")[0] == 0
    assert rows_of(timed)[5]["time"] == "2026-01-31T18:30:01.000"
    assert rows_of(timed)[5]["path"] == "cam_2_t0001/000006.jpg"


def test_a_gray_video_is_infrared_unless_said_otherwise(command, paths, tmp_path):
    video = write_video(tmp_path / "night.avi", gray=True)
    words = ("--video", video, "--boxes", paths[1])
    assert "12 infrared crops" in command("data", "crops", *words, "--output", tmp_path / "a")[1]
    assert {row["modality"] for row in rows_of(tmp_path / "a")} == {"infrared"}
    said = command("data", "crops", *words, "--output", tmp_path / "b", "--modality", "visible")
    assert "12 visible crops" in said[1]


def test_boxes_at_the_edge_are_clipped_and_those_outside_are_counted(command, paths, tmp_path):
    lines = ["1,1,-6,2,12,24", "2,1,60,40,12,24", "3,1,70,4,12,24", "4,1,-11,4,12,24", "5,1,4,4,3,2"]
    paths[1].write_text("\n".join(lines))
    words = ("--frames", paths[0], "--boxes", paths[1], "--modality", "visible", "--output", tmp_path / "o")
    status, printed, _ = command("data", "crops", *words)
    assert status == 0
    assert printed.splitlines() == [
        f"{tmp_path}/o/crops.csv: 3 visible crops of 1 tracks",
        "note: 2 boxes reached beyond the frame and were clipped",
        "note: 2 boxes were outside the frame and were left out",
    ]
    sizes = []
    for row in rows_of(tmp_path / "o"):
        with Image.open(tmp_path / "o" / row["path"]) as crop:
            sizes.append(crop.size)
    assert sizes == [(6, 24), (4, 8), (3, 2)]


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_is_the_part_of_the_box_that_is_in_the_frame(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    left, top = int(rng.integers(-20, WIDTH)), int(rng.integers(-20, HEIGHT))
    width, height = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    found = cut(Image.fromarray(pixels), Box(1, left, top, width, height))
    columns = [x for x in range(left, left + width) if 0 <= x < WIDTH]
    rows = [y for y in range(top, top + height) if 0 <= y < HEIGHT]
    if len(columns) < min(4, width, height) or len(rows) < min(4, width, height):
        assert found is None
    else:
        crop, clipped = found
        assert (np.asarray(crop) == pixels[np.ix_(rows, columns)]).all()
        assert clipped == (len(columns) < width or len(rows) < height)


def test_frames_that_cannot_be_read_are_counted_and_keep_their_number(command, video, paths, tmp_path):
    content = bytearray(video.read_bytes())
    starts = [n for n in range(len(content) - 3) if content[n : n + 3] == b"\xff\xd8\xff"]
    content[starts[2] : starts[2] + 600] = bytes(600)  # of the third frame
    video.write_bytes(content)
    frames = list(frames_of_video(video))
    assert [(frame.number, frame.image is None) for frame in frames] == [
        (n, n == 3) for n in range(1, COUNT + 1)
    ]
    words = ("--boxes", paths[1], "--output", tmp_path / "o")
    status, printed, _ = command("data", "crops", "--video", video, *words)
    assert status == 0 and "10 visible crops" in printed
    assert "note: 1 frames could not be read, with 2 boxes in them" in printed
    (paths[0] / "2.png").write_bytes(b"no image")
    printed = command("data", "crops", "--frames", paths[0], "--boxes", paths[1], "--output", tmp_path / "p")[
        1
    ]
    assert "note: 1 frames could not be read, with 2 boxes in them" in printed
    assert [frame.image is None for frame in frames_of_folder(paths[0])] == [False, True] + [False] * 4


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
VIDEOS = {
    "missing": (lambda path: path.unlink(), "does not exist; expected a video"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as a video"),
    "no video": (lambda path: path.write_bytes(b"a line of text\n" * 99), "cannot be read as a video"),
    "its beginning alone": (
        lambda path: path.write_bytes(path.read_bytes()[:300]),
        "cannot be read|none of its",
    ),
    "a playlist": (lambda path: path.write_text(PLAYLIST), "cannot be read as a video"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
}


@pytest.mark.parametrize("fault", VIDEOS)
def test_what_is_no_video_is_one_line_and_nothing_is_left(command, video, paths, tmp_path, fault):
    change, message = VIDEOS[fault]
    change(video)
    output = tmp_path / "deep" / "o"
    status, _, error = command("data", "crops", "--video", video, "--boxes", paths[1], "--output", output)
    assert status == 2 and error.count("\n") == 1
    with pytest.raises(DatasetError, match=message):
        list(frames_of_video(video))
    assert not list(tmp_path.glob("deep/*"))


BOXES = {
    "of another video": (
        "7,1,4,4,8,8\n1,1,4,4,8,8",
        "1 boxes are in frames after 6, the last of .*gate, up to 7",
    ),
    "all outside": (
        "1,1,900,4,8,8",
        r"no box is inside a frame of .*gate that can be read \(1 outside, 0 in",
    ),
    "of a detector": ("1,-1,4,4,8,8", "line 1: track -1 is none: these are boxes of a detector"),
    "twice": ("1,1,4,4,8,8\n\n1,1,5,4,8,8", "line 3: track 1 has a box in frame 1 already"),
    "five numbers": ("1,1,4,4,8", "line 1: found '1,1,4,4,8'; expected frame,track,left"),
    "words": ("frame,id,left,top,width,height", "line 1: found 'frame,id"),
    "half a frame": ("1.5,1,4,4,8,8", "line 1: found '1.5,1,4,4,8,8'"),
    "no numbers": ("1,1,nan,4,8,8", "line 1: found '1,1,nan"),
    "frame 0": ("0,1,4,4,8,8", "line 1: found .*; frames count from 1, and a box has a width and height"),
    "no height": ("1,1,4,4,8,0", "line 1: found .*; frames count from 1"),
    "nothing": ("\n", "gate.txt is empty; expected lines frame,track"),
}


@pytest.mark.parametrize("fault", BOXES)
def test_boxes_that_do_not_fit_are_one_line_and_nothing_is_left(command, paths, tmp_path, fault):
    text, message = BOXES[fault]
    paths[1].write_text(text)
    words = ("--frames", paths[0], "--boxes", paths[1], "--output", tmp_path / "deep" / "o")
    status, _, error = command("data", "crops", *words)
    assert status == 2 and error.count("\n") == 1
    assert re.search(message, error), error
    assert not list(tmp_path.glob("deep/*"))


def test_arguments_that_do_not_fit_are_refused(command, paths, tmp_path):
    given = ("--frames", paths[0], "--boxes", paths[1], "--output", tmp_path / "o")
    for words, message in (
        (("--start", "2026-01-31T18:30:00"), "--start with --frames needs --fps"),
        (("--fps", "0"), "--fps 0; expected a number above 0"),
        (("--camera", "a/b"), "the camera is 'a/b'; expected up to 64 letters"),
    ):
        status, _, error = command("data", "crops", *given, *words)
        assert status == 2 and message in error
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "mine").write_text("")
    assert "o is not empty; name a new folder" in command("data", "crops", *given)[2]
    assert (tmp_path / "o" / "mine").exists()
    (tmp_path / "none").mkdir()
    for folder, message in ((tmp_path / "none", "holds no image"), (tmp_path / "nowhere", "is no folder")):
        words = ("--frames", folder, "--boxes", paths[1], "--output", tmp_path / "p")
        assert message in command("data", "crops", *words)[2]
