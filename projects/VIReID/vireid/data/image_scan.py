"""Looking at the files of a dataset: what cannot be read, what is there twice, color where none should be."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from vireid.data.datasets.base import ImageItem
from vireid.errors import DatasetError, MachineError
from vireid.files import open_regular, refuse_machine_fault
from vireid.images import (
    COLORED,
    GRAY,
    LEAST_SIDE,
    colorfulness,
    open_image,
    read_image,
    unreadable,
)
from vireid.modality import Modality


class Use(NamedTuple):
    """Where a dataset uses an image."""

    part: str  # of the dataset: a split
    subset: str  # "train" or "test"
    item: ImageItem
    identity: Hashable | None


class Look(NamedTuple):
    """What was seen of a file."""

    digest: bytes  # of its content; empty where it cannot be read
    size: tuple[int, int]  # height, width
    color: float | None  # None: not decoded
    fault: str


def scan(uses: Mapping[str, Sequence[Use]], sample: int | None, progress: bool | None) -> dict[str, Look]:
    """Read each file once.

    Args:
        uses: of each path.
        sample: how many images of each modality and camera are decoded, evenly spread; None: all.
        progress: show a bar; None: where standard error is a terminal.
    """
    decoded = set(uses) if sample is None else _spread(uses, sample)
    bar = tqdm(uses, desc="images", unit="img", disable=None if progress is None else not progress)
    return {path: look_at(path, path in decoded) for path in bar}


def look_at(path: str, decode: bool) -> Look:
    """The header of an image, and its pixels where ``decode``."""
    try:
        with open_regular(path) as file:
            content = file.read()
        with open_image(content) as image:
            width, height = image.size
            decode = decode or image.has_transparency_data or min(image.size) < LEAST_SIDE
        color = colorfulness(np.asarray(read_image(path))) if decode else None
    except DatasetError as error:
        return Look(b"", (0, 0), None, str(error))
    except MachineError:
        raise
    except Exception as error:  # Pillow's decoders raise many types for a damaged file
        refuse_machine_fault(error, path)
        return Look(b"", (0, 0), None, str(unreadable(path, error)))
    return Look(hashlib.blake2b(content, digest_size=16).digest(), (height, width), color, "")


def color_faults(uses: Mapping[str, Sequence[Use]], looks: Mapping[str, Look]) -> list[str]:
    """Visible cameras whose sampled images are mostly gray, and infrared images with color.

    A single visible image may be gray: it may have been taken in the dark.
    """
    faults = []
    for (modality, camid), paths in _by_camera(uses).items():
        seen = [(path, color) for path in paths if (color := looks[path].color) is not None]
        where = f"{modality.name.lower()} images of camera {camid}"
        if modality == Modality.VISIBLE:
            gray = [path for path, color in seen if color < GRAY]
            if 2 * len(gray) > len(seen):
                faults.append(
                    f"{where}: {len(gray)} of {len(seen)} that were looked at have no color, such as "
                    f"{gray[0]}: are they infrared?"
                )
            continue
        colored = [path for path, color in seen if color > COLORED]
        if 2 * len(colored) > len(seen) and len(colored) > 1:
            faults.append(
                f"{where}: {len(colored)} of {len(seen)} that were looked at have color, such as "
                f"{colored[0]}: are they visible?"
            )
        else:
            faults += [f"{path}: an infrared image with color; is it a visible one?" for path in colored]
    return faults


def sampled_color_faults(items: Sequence[ImageItem], sample: int) -> list[str]:
    """The same of a list of images, of which a few are read.

    Args:
        sample: how many images of each modality and camera, evenly spread.
    """
    uses = {item.path: [Use("", "", item, None)] for item in items}
    chosen = _spread(uses, sample)
    looks = {path: look_at(path, True) for path in chosen}
    return color_faults({path: uses[path] for path in uses if path in chosen}, looks)


def copy_faults(uses: Mapping[str, Sequence[Use]], looks: Mapping[str, Look]) -> list[str]:
    """Files with the same content in training and test, under two identities, or in both modalities.

    Copies within an identity, a modality and a subset do no harm.
    """
    alike = defaultdict(list)
    for path, look in looks.items():
        if look.digest:
            alike[look.digest].append(path)
    faults = (_copies(paths, uses) for paths in alike.values() if len(paths) > 1)
    return [fault for fault in faults if fault]


def sizes(looks: Iterable[Look]) -> str:
    """'64x32', or 'from 60x30 to 128x64': smallest and largest height and width."""
    known = [look.size for look in looks if look.digest]
    if not known:
        return "unknown"
    least, most = (tuple(map(pick, zip(*known))) for pick in (min, max))
    texts = ["{}x{}".format(*size) for size in (least, most)]
    return texts[0] if least == most else f"from {texts[0]} to {texts[1]}"


def _copies(paths: Sequence[str], uses: Mapping[str, Sequence[Use]]) -> str:
    """The first harm that copies of one image do; empty where they do none."""
    first, *others = paths
    for other in others:
        pairs = [(a, b) for a in uses[first] for b in uses[other] if a.part == b.part]
        named = f"{first} and {other} are the same image"
        apart = next(((a, b) for a, b in pairs if a.subset != b.subset), None)
        if apart:
            return f"{named}, the one in {_name(apart[0])}, the other in {_name(apart[1])}"
        for a, b in pairs:
            persons = (a.item.pid, b.item.pid) if a.identity is None else (a.identity, b.identity)
            if persons[0] != persons[1]:
                return f"{named}, of identities {persons[0]} and {persons[1]}"
            if a.item.modality != b.item.modality:
                return f"{named}, the one visible, the other infrared"
    return ""


def _name(use: Use) -> str:
    subset = {"train": "training", "test": "test"}[use.subset]
    return subset + (f" ({use.part})" if use.part else "")


def _by_camera(uses: Mapping[str, Sequence[Use]]) -> dict[tuple[Modality, int], list[str]]:
    cameras = defaultdict(list)
    for path, (use, *_) in uses.items():
        cameras[use.item.modality, use.item.camid].append(path)
    return dict(sorted(cameras.items()))


def _spread(uses: Mapping[str, Sequence[Use]], number: int) -> set[str]:
    chosen: set[str] = set()
    for paths in _by_camera(uses).values():
        places = np.linspace(0, len(paths) - 1, min(number, len(paths))).astype(int)
        chosen.update(paths[place] for place in places)
    return chosen
