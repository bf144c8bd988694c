"""Crops of persons, cut from the frames of a video by the boxes of a tracker, and listed by tracks."""

import csv
import datetime
import io
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vireid.data.boxes import Box, cut
from vireid.data.video import Frame
from vireid.errors import ConfigError, DatasetError
from vireid.images import GRAY, colorfulness

COLUMNS = ("path", "identity", "camera", "modality", "subset", "time", "track")
LIST = "crops.csv"
QUALITY = 95
CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass
class Report:
    """What was cut, and what was not.

    Attributes:
        crops: files written; ``tracks``: of how many tracks.
        clipped: crops of boxes that the edge of the frame cuts.
        outside: boxes that are outside the frame.
        unreadable: frames that cannot be read; ``lost``: boxes in these.
        infrared: whether the crops are listed as infrared.
    """

    crops: int = 0
    tracks: int = 0
    clipped: int = 0
    outside: int = 0
    unreadable: int = 0
    lost: int = 0
    infrared: bool = False
    rows: list[dict[str, str]] = field(default_factory=list, repr=False)
    colors: list[float] = field(default_factory=list, repr=False)


def crop_tracks(
    frames: Iterable[Frame],
    boxes: dict[int, list[Box]],
    output: Path,
    *,
    source: str,
    camera: str,
    infrared: bool | None = None,
    margin: float = 0.0,
    every: int = 1,
    start: datetime.datetime | None = None,
) -> Report:
    """Write ``<camera>_t<track>/<frame>.jpg`` for each box, and the list crops.csv, into a new folder.

    An error leaves nothing behind.

    The list has the columns that the dataset List and ``vireid search index`` read. ``identity`` is empty:
    who it is, somebody has to say.

    Args:
        frames: of ``vireid.data.video``.
        boxes: of ``vireid.data.boxes.read_boxes``.
        output: new or empty.
        source: what the frames are of, for errors.
        camera: its name.
        infrared: of the whole video; None: where its crops have no color.
        margin: as of ``vireid.data.boxes.cut``.
        every: of each track, its first frame and then every so many are cut.
        start: when the first frame was taken.

    Raises:
        ConfigError: a camera's name that is no name of a file, or a folder that is not empty.
        DatasetError: boxes in frames that there are not, or none inside its frame.
    """
    if not CAMERA.fullmatch(camera):
        raise ConfigError(f"the camera is {camera!r}; expected up to 64 letters, digits, dots, _ and -")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output} is not empty; name a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    report = Report()
    passed: dict[int, int] = defaultdict(int)  # boxes of each track so far
    within = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        last = 0
        for frame in frames:
            last = max(last, frame.number)
            here = [box for box in boxes.get(frame.number, ()) if _is_taken(passed, box.track, every)]
            if frame.image is None:
                report.unreadable += 1
                report.lost += len(here)
                continue
            for box in here:
                _write_crop(within, frame, box, report, camera, margin, start)
        beyond = sum(len(found) for number, found in boxes.items() if number > last)
        if beyond:
            raise DatasetError(
                f"{beyond} boxes are in frames after {last}, the last of {source}, up to {max(boxes)}: are "
                "they of another video, or is it cut off?"
            )
        if not report.crops:
            raise DatasetError(
                f"no box is inside a frame of {source} that can be read ({report.outside} outside, "
                f"{report.lost} in frames that cannot be read): are they of another video?"
            )
        _write_list(within / LIST, report, infrared)
        if output.exists():
            output.rmdir()
        within.chmod(0o755)
        within.rename(output)
    finally:
        shutil.rmtree(within, ignore_errors=True)
    return report


def _is_taken(passed: dict[int, int], track: int, every: int) -> bool:
    passed[track] += 1
    return (passed[track] - 1) % every == 0


def _write_crop(
    folder: Path,
    frame: Frame,
    box: Box,
    report: Report,
    camera: str,
    margin: float,
    start: datetime.datetime | None,
) -> None:
    assert frame.image is not None
    found = cut(frame.image, box, margin)
    if found is None:
        report.outside += 1
        return
    crop, clipped = found
    track = f"{camera}_t{box.track:04d}"
    path = Path(track, f"{frame.number:06d}.jpg")
    (folder / track).mkdir(exist_ok=True)
    crop.save(folder / path, quality=QUALITY)
    time = ""
    if start is not None and frame.seconds is not None:
        time = (start + datetime.timedelta(seconds=frame.seconds)).isoformat(timespec="milliseconds")
    values = (path.as_posix(), "", camera, "", "test", time, track)
    report.rows.append(dict(zip(COLUMNS, values)))
    report.colors.append(colorfulness(np.asarray(crop)))
    report.crops += 1
    report.clipped += clipped


def _write_list(path: Path, report: Report, infrared: bool | None) -> None:
    report.tracks = len({row["track"] for row in report.rows})
    report.infrared = float(np.median(report.colors)) < GRAY if infrared is None else infrared
    report.rows.sort(key=lambda row: row["path"])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    modality = "infrared" if report.infrared else "visible"
    writer.writerows({**row, "modality": modality} for row in report.rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
