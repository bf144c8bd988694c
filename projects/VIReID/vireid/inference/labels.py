"""What the name of a file says about an image, and what a table says."""

import csv
import datetime
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from vireid.errors import UserError
from vireid.file_names import PERSON_AND_CAMERA
from vireid.inference.inputs import MODALITIES
from vireid.inference.records import CAMERA_FOLDER, camera_name, parse_time, real_paths
from vireid.modality import WORDS as MODALITY_WORDS

# Also of formats that are not read: such a file is named and skipped, and not silently left out.
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".gif"}
TRACK_FOLDER = re.compile(r".+_t\d+")
NOBODY = {"-1", "0000"}  # Market-1501: no person, and persons without a number
WORDS = {
    name: {word for word, meant in MODALITY_WORDS.items() if meant == kind}
    for name, kind in MODALITIES.items()
}
WORDS["visible"].add("color")
MOMENT = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_]?(\d\d)[-_]?(\d\d)[-_T ]?(\d\d)[-_:.]?(\d\d)[-_:.]?(\d\d)(?!\d)"
)
COLUMNS = ("path", "identity", "camera", "time", "modality", "subset", "track")


@dataclass(frozen=True)
class Labels:
    """What is known of an image without looking at it; None, and "" for the modality, where nothing is."""

    identity: str | None = None
    camera: str | None = None
    time: datetime.datetime | None = None
    modality: str = ""
    track: str | None = None


def labels_of_name(path: PurePath) -> Labels:
    """What a path below the gallery's folder says.

    - identity and camera: a name such as 0002_c1s1_000451_03.jpg (Market-1501, LLCM);
    - camera: a folder such as cam3 or camera_3 (SYSU-MM01, LLCM);
    - identity: the folder of the file, if its name is a number (SYSU-MM01, RegDB, LLCM);
    - modality: a word such as visible, rgb, infrared, nir or thermal in the name of a folder, or at the end
      of the file's;
    - track: a folder such as gate_t0001, as `vireid data crops` names it;
    - time: a moment in the file's name, such as 20260131_183000 or 2026-01-31T18-30-00.
    """
    named = PERSON_AND_CAMERA.match(path.name)
    identity, camera = named.groups() if named else (None, None)
    folders = path.parts[:-1]
    if camera is None:
        found = [match[1] or match[2] for folder in folders if (match := CAMERA_FOLDER.match(folder))]
        camera = found[-1] if found else None
    if identity is None and folders and folders[-1].isascii() and folders[-1].isdigit():
        identity = folders[-1]
    if identity in NOBODY:
        identity = None
    camera = None if camera is None else camera_name(camera)
    track = folders[-1] if folders and TRACK_FOLDER.fullmatch(folders[-1]) else None
    return Labels(identity, camera, _moment(path.stem), _modality(folders, path.stem), track)


def _modality(folders: Iterable[str], stem: str) -> str:
    words = [word for folder in folders for word in re.split(r"[^a-z]+", folder.lower())]
    words.append(re.split(r"[^a-z]+", stem.lower())[-1])
    found = {name for name, known in WORDS.items() if known & set(words)}
    return found.pop() if len(found) == 1 else ""


def _moment(stem: str) -> datetime.datetime | None:
    match = MOMENT.search(stem)
    try:
        return datetime.datetime(*map(int, match.groups())) if match else None  # type: ignore[arg-type]
    except ValueError:  # month 13
        return None


def read_table(path: str | Path, gallery: Path) -> dict[str, Labels]:
    """Labels from a CSV file with the columns path and some of identity, camera, time, modality and track.

    Args:
        gallery: the folder that paths are relative to.

    Returns:
        Path, as of ``real_paths`` -> what its row says.

    Raises:
        UserError: the file, a column or a value is wrong, or two rows are of one image; names the line.
    """
    found: dict[str, Labels] = {}
    lines: dict[str, int] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            if "path" not in names or not {*names} <= {*COLUMNS}:
                raise UserError(
                    f"{path}: its columns are {', '.join(map(str, names)) or 'none'}; expected path, and "
                    f"some of {', '.join(COLUMNS[1:])}, in small letters and separated by commas"
                )
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if not row["path"]:
                    raise UserError(f"{where}: it has no path")
                (image,) = real_paths([gallery / row["path"]])
                if image in found:
                    raise UserError(f"{where}: {row['path']} has been named in line {lines[image]} already")
                found[image], lines[image] = _row(row, where), reader.line_num
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read as a CSV file: {reason}") from None
    return found


def _row(row: dict[str, str], where: str) -> Labels:
    modality = (row.get("modality") or "").strip()
    if modality and modality not in MODALITIES:
        raise UserError(f"{where}: modality is {modality!r}; expected visible or infrared")
    time = (row.get("time") or "").strip()
    camera = (row.get("camera") or "").strip()
    return Labels(
        identity=(row.get("identity") or "").strip() or None,
        camera=camera_name(camera) if camera else None,
        time=parse_time(time, f"{where}: time") if time else None,
        modality=modality,
        track=(row.get("track") or "").strip() or None,
    )


def merged(first: Labels | None, second: Labels) -> Labels:
    """What ``first`` says, and where it says nothing, what ``second`` does."""
    if first is None:
        return second
    own = {name: value for name, value in vars(first).items() if value}
    return replace(second, **own)


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
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                found.append(os.path.join(parent, name))
            else:
                others += 1
    return found, others
