"""The boxes of a tracker in MOT format, and the parts of a frame that they enclose."""

import math
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vireid.errors import DatasetError
from vireid.files import fault_of_file

LINE = "frame,track,left,top,width,height,... (MOT format, separated by commas or blanks)"
MOST_BYTES = 1 << 30
SMALLEST = 4  # pixels a side: of a box beyond the frame's edge, less shows nothing


class Box(NamedTuple):
    """Where a track is in a frame, in pixels."""

    track: int
    left: float
    top: float
    width: float
    height: float


def read_boxes(path: Path) -> dict[int, list[Box]]:
    """The boxes of each frame, of a file in MOT format.

    Raises:
        DatasetError: no such file, no box, a line of another form, a box without a track, or two of one track
            in a frame; names the line.
    """
    fault = fault_of_file(path, MOST_BYTES)
    if fault:
        raise DatasetError(f"{path} {fault}; expected lines {LINE}")
    boxes: dict[int, list[Box]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is no text; expected lines {LINE}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        frame, box = _parsed(line, where)
        if (frame, box.track) in seen:
            raise DatasetError(f"{where}: track {box.track} has a box in frame {frame} already")
        seen.add((frame, box.track))
        boxes[frame].append(box)
    if not boxes:
        raise DatasetError(f"{path} is empty; expected lines {LINE}")
    return dict(boxes)


def _parsed(line: str, where: str) -> tuple[int, Box]:
    try:
        frame, track, *rest = map(float, re.split(r"[,\s]+", line.strip().rstrip(","))[:6])
        left, top, width, height = rest
    except ValueError:
        raise DatasetError(f"{where}: found {line[:80]!r}; expected {LINE}") from None
    values = (frame, track, left, top, width, height)
    if not all(map(math.isfinite, values)) or not frame.is_integer() or not track.is_integer():
        raise DatasetError(f"{where}: found {line[:80]!r}; expected {LINE}")
    if track < 0:
        raise DatasetError(
            f"{where}: track {track:g} is none: these are boxes of a detector; track them first"
        )
    if frame < 1 or min(width, height) <= 0:
        raise DatasetError(
            f"{where}: found {line[:80]!r}; frames count from 1, and a box has a width and height"
        )
    return int(frame), Box(int(track), left, top, width, height)


def cut(image: Image.Image, box: Box, margin: float = 0.0) -> tuple[Image.Image, bool] | None:
    """The part of an image within a box, and whether its edge cuts the box; None where too little is inside.

    Args:
        margin: added on each side, a share of the box's width and height.
    """
    across, down = margin * box.width, margin * box.height
    wanted = (box.left, box.top, box.left + box.width, box.top + box.height)
    left, top = max(0, round(wanted[0] - across)), max(0, round(wanted[1] - down))
    right, bottom = min(image.width, round(wanted[2] + across)), min(image.height, round(wanted[3] + down))
    inside = min(image.width, wanted[2]) - max(0, wanted[0]), min(image.height, wanted[3]) - max(0, wanted[1])
    if min(inside) < min(SMALLEST, box.width, box.height):
        return None
    clipped = wanted[0] < 0 or wanted[1] < 0 or wanted[2] > image.width or wanted[3] > image.height
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1))), clipped
