"""The frames of a video, or of a folder of images, with their numbers and times."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vireid.errors import ConfigError, DatasetError, ImageError
from vireid.files import fault_of_file
from vireid.images import FORMATS, decode_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


class Frame(NamedTuple):
    """A frame; the first of a video has number 1, as in MOT files.

    Attributes:
        seconds: since the first frame; None where it is not known.
        image: RGB; None where the frame cannot be read.
    """

    number: int
    seconds: float | None
    image: Image.Image | None


def frames_of_video(path: Path) -> Iterator[Frame]:
    """The frames of a video's first video stream, in the order in which they are shown.

    A frame that is damaged, as far as the decoder says so, is one that cannot be read. It has a number.

    Raises:
        ConfigError: the extra ``video`` is not installed.
        DatasetError: no such file, no video, or not a single frame that can be read.
    """
    try:
        import av
    except ImportError:
        raise ConfigError(f'{path} needs PyAV: pip install "fastreid-vi[video]"') from None
    fault = fault_of_file(path)
    if fault:
        raise DatasetError(f"{path} {fault}; expected a video")
    number, read, first = 0, 0, None
    try:
        # A playlist could name files of other hosts.
        with av.open(os.fspath(path), options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise DatasetError(f"{path} holds no video, only {len(container.streams)} other streams")
            for packet in container.demux(container.streams.video[0]):
                try:
                    decoded = packet.decode()
                except av.FFmpegError:
                    number += 1
                    yield Frame(number, None, None)
                    continue
                for frame in decoded:
                    number += 1
                    first = frame.time if first is None else first
                    seconds = None if frame.time is None or first is None else frame.time - first
                    image = None if frame.is_corrupt else frame.to_image()
                    read += image is not None
                    yield Frame(number, seconds, image)
    except av.FFmpegError as error:  # of the file, or of what follows the last frame that was read
        if not read:
            raise DatasetError(f"{path} cannot be read as a video ({error.strerror})") from None
    if not read:
        raise DatasetError(f"{path}: none of its {number} frames can be read")


def frames_of_folder(folder: Path, rate: float | None = None) -> Iterator[Frame]:
    """The images of a folder as frames: the n-th is frame n, as trackers count them.

    They go by their names, or by their numbers where all names are numbers (1.jpg, 10.jpg).

    Args:
        rate: frames a second; None: no times.

    Raises:
        DatasetError: no such folder, or no image in it that can be read.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder; expected one of frames")
    names = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    numbered = all(p.stem.isascii() and p.stem.isdigit() and len(p.stem) <= 9 for p in names)
    paths = sorted(names, key=lambda p: (int(p.stem) if numbered else 0, p.name))
    if not paths:
        raise DatasetError(f"{folder} holds no image ({', '.join(FORMATS)})")
    read = 0
    for number, path in enumerate(paths, start=1):
        try:
            image = decode_image(path)
        except ImageError:
            image = None
        read += image is not None
        yield Frame(number, None if rate is None else (number - 1) / rate, image)
    if not read:
        raise DatasetError(f"{folder}: none of its {len(paths)} images can be read")
