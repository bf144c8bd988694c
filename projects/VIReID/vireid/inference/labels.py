"""What the name of a file says about an image, and what a table says."""

import datetime
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from vireid.csv_rows import read_rows
from vireid.errors import UserError
from vireid.image_layouts import Choices, read_paths
from vireid.image_names import camera_name, image_files  # noqa: F401 (also had from here)
from vireid.inference.inputs import MODALITIES
from vireid.inference.records import parse_time, real_paths

NOBODY = {"-1", "0000"}  # Market-1501: no person, and persons without a number
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
    ((named,), _) = read_paths([path], Choices(persons=False))
    return Labels(
        None if named.identity in NOBODY else named.identity,
        named.camera,
        named.time,
        "" if named.modality is None else named.modality.name.lower(),
        named.track,
    )


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
    lines: dict[str, str] = {}
    names, rows = read_rows(path, COLUMNS)
    if "path" not in names or not {*names} <= {*COLUMNS}:
        raise UserError(
            f"{path}: its columns are {', '.join(names) or 'none'}; expected path, and some of "
            f"{', '.join(COLUMNS[1:])}, in small letters and separated by commas"
        )
    for where, row in rows:
        if not row["path"]:
            raise UserError(f"{where}: it has no path")
        (image,) = real_paths([gallery / row["path"]])
        if image in found:
            raise UserError(f"{where}: {row['path']} has been named in {lines[image]} already")
        found[image], lines[image] = _row(row, where), where.rpartition(", ")[2]
    return found


def _row(row: dict[str, str], where: str) -> Labels:
    modality, time, camera = (row.get(name, "") for name in ("modality", "time", "camera"))
    if modality and modality not in MODALITIES:
        raise UserError(f"{where}: modality is {modality!r}; expected visible or infrared")
    return Labels(
        identity=row.get("identity") or None,
        camera=camera_name(camera) if camera else None,
        time=parse_time(time, f"{where}: time") if time else None,
        modality=modality,
        track=row.get("track") or None,
    )


def merged(first: Labels | None, second: Labels) -> Labels:
    """What ``first`` says, and where it says nothing, what ``second`` does."""
    if first is None:
        return second
    own = {name: value for name, value in vars(first).items() if value}
    return replace(second, **own)
