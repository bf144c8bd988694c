"""The names of image files and of their folders, each by itself. ``image_layouts`` reads whole paths."""

import datetime
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vireid.modality import WORDS, Modality

READ_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# Also of formats that are not read: such a file is named and skipped, and not silently left out.
IMAGE_SUFFIXES = (*READ_SUFFIXES, ".webp", ".tif", ".tiff", ".ppm", ".gif")
# Identity and camera in Market-1501, DukeMTMC and LLCM: 0002_c1s1_000451_03.jpg, 0005_c2_f0046985.jpg,
# 0001_c03_s171429_f12990_nir.jpg; Market-1501 calls what is no person -1.
PERSON_AND_CAMERA = re.compile(r"(-?\d+)_c(\d+)")
# cam3, c3, camA, camera_gate; not camping or c4rl.
CAMERA = re.compile(r"(?i:cam(?:era)?)(?:[-_ ](\w+)|(\d+|[A-Z]))|[cC]_?(\d+)", re.ASCII)
TRACK = re.compile(r".+_t\d+", re.ASCII)
DAY = re.compile(r"((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)", re.ASCII)
MOMENT = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_]?(\d\d)[-_]?(\d\d)[-_T ]?(\d\d)[-_:.]?(\d\d)[-_:.]?(\d\d)(?!\d)", re.ASCII
)
MODALITY_WORDS = {**WORDS, "color": Modality.VISIBLE}
VALIDATION = "val"
SUBSET_WORDS = {
    **{word: word for word in ("train", "test", "query", "gallery")},
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
}
MARKET_FOLDERS = {"bounding_box_train": "train", "bounding_box_test": "gallery"}


def kind_of(name: str) -> str:
    """What a folder of this name is: "words" of modality or subset, "camera", "track", "date", "number" or
    "text"."""
    if modalities(name) or subsets([name]):
        return "words"
    if CAMERA.fullmatch(name):
        return "camera"
    if TRACK.fullmatch(name):
        return "track"
    if is_day(name):
        return "date"
    return "number" if name.isascii() and name.isdigit() else "text"


def camera_name(text: str) -> str:
    """A camera from what a folder, a table or a person writes: cam03, 03 and 3 are "3", camera_gate and gate
    are "gate"."""
    match = CAMERA.fullmatch(text)
    name = match[match.lastindex or 0] if match else text
    return str(int(name)) if name.isascii() and name.isdigit() else name


def words_of(name: str) -> list[str]:
    """The words of a name, in small letters."""
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def modalities(name: str) -> set[Modality]:
    """What a name calls modalities."""
    return {MODALITY_WORDS[word] for word in words_of(name) if word in MODALITY_WORDS}


def subsets(folders: Iterable[str]) -> set[str]:
    """What the names of folders say of the subset: of test and query, or gallery, the latter. A name says it
    where it is made of words of modality and subset alone: test_nir."""
    found = set()
    for name in folders:
        words = words_of(name)
        if name.lower() in MARKET_FOLDERS:
            found.add(MARKET_FOLDERS[name.lower()])
        elif all(word in SUBSET_WORDS or word in MODALITY_WORDS for word in words):
            found |= {SUBSET_WORDS[word] for word in words if word in SUBSET_WORDS}
    return found - {"test"} if found & {"query", "gallery"} else found


def is_day(text: str) -> bool:
    """Whether a name is a date, such as 20260131."""
    match = DAY.fullmatch(text)
    return match is not None and _time(match.groups()) is not None


def moment(stem: str) -> datetime.datetime | None:
    """The moment in a file's name, such as 20260131_183000 or 2026-01-31T18-30-00."""
    match = MOMENT.search(stem)
    return _time(match.groups()) if match else None


def _time(numbers: Sequence[str]) -> datetime.datetime | None:
    try:
        return datetime.datetime(*map(int, numbers))  # type: ignore[arg-type]
    except ValueError:  # month 13
        return None


def image_files(folder: Path) -> tuple[list[str], int]:
    """Absolute paths of the files below a folder that are named like images, and how many others there are.

    In order; hidden files and folders are left out, and a folder that several links lead to counts once.
    """
    found, others = [], 0
    seen: set[str] = set()
    for parent, folders, files in os.walk(os.path.abspath(folder), followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if os.path.realpath(parent) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(parent))
        for name in sorted(files):
            if name.startswith("."):
                continue
            if name.lower().endswith(IMAGE_SUFFIXES):
                found.append(os.path.join(parent, name))
            else:
                others += 1
    return found, others
