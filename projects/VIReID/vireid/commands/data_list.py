"""List the images of a folder for the dataset List: a CSV file, to be looked at and edited.

Identity, camera, modality and subset are found in the path of each image, below FOLDER.
"""

import argparse
import csv
import io
import os
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vireid.command_line import share
from vireid.errors import DatasetError
from vireid.file_names import PERSON_AND_CAMERA
from vireid.files import output_file
from vireid.modality import WORDS, Modality

EXAMPLES = """
where they are found, the first that applies:
  identity   a file name as those of Market-1501, 0005_c2s1_000351_01.jpg; else the innermost folder whose
             name says nothing else: 0005/. Identity -1 (junk) is left out.
  camera     such a file name; a folder cam2; else 1 for visible and 2 for infrared images
  modality   a folder, or a part of the file name, called visible, vis or rgb; infrared, ir, nir or thermal;
             else --infrared-cameras
  subset     a folder train, test, query or gallery, or bounding_box_train and bounding_box_test; else
             --test-share of the identities, drawn by --seed, are for testing

examples:
  visible/0001/a.jpg and infrared/0001/b.jpg, half of the identities for testing:
    vireid data list photos --output photos/list.csv
  names as those of Market-1501, where cameras 3 and 6 are infrared:
    vireid data list market --output market/list.csv --infrared-cameras 3 6
  train on it:
    vireid train --config-file pmcm/sysu DATASETS.NAMES '["List"]' DATASETS.TESTS '["List"]' \\
        DATASETS.LIST.FILE photos/list.csv
"""
COLUMNS = ("path", "identity", "camera", "modality", "subset")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
SUBSETS = {
    **{word: word for word in ("train", "test", "query", "gallery")},
    "bounding_box_train": "train",
    "bounding_box_test": "gallery",
}
CAMERA = re.compile(r"(?:cam|camera|c)_?(\d+)")


@dataclass(frozen=True)
class Found:
    """What the path of an image says; None where it says nothing."""

    path: Path
    identity: str | None
    camera: int | None
    modality: Modality | None
    subset: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which images, and how they are divided."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the images are in it and below it")
    parser.add_argument(
        "--output", type=Path, metavar="FILE.csv", help="the list (default: list.csv in the folder)"
    )
    parser.add_argument(
        "--infrared-cameras", nargs="+", type=int, default=[], metavar="N", help="where no name says it"
    )
    parser.add_argument(
        "--test-share",
        type=share,
        default=0.5,
        metavar="P",
        help="of the identities whose subset no folder says (default 0.5)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="same seed, same division (default 0)"
    )


def run(args: argparse.Namespace) -> None:
    """Find the images, write the list, and count what is in it."""
    from tabulate import tabulate

    if not args.folder.is_dir():
        raise DatasetError(f"{args.folder} is no folder")
    output = output_file(args.output or args.folder / "list.csv")
    rows = table(args.folder, args.infrared_cameras, args.test_share, args.seed)
    places = [place(Path(row["path"]), output) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "path": path} for row, path in zip(rows, places))
    output.write_text(text.getvalue(), encoding="utf-8", newline="")
    images = Counter((row["subset"], row["modality"]) for row in rows)
    identities = {
        group: len({row["identity"] for row in rows if (row["subset"], row["modality"]) == group})
        for group in images
    }
    counts = [[*group, images[group], identities[group]] for group in sorted(images)]
    print(tabulate(counts, headers=["subset", "modality", "images", "identities"], tablefmt="pipe"))
    print(f"{output}: {len(rows)} images; DATASETS.LIST.FILE names it")


def place(image: Path, output: Path) -> str:
    """An image's path in the list: relative to the list's folder where it is below it, else in full."""
    image, folder = Path(os.path.abspath(image)), Path(os.path.abspath(output)).parent
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)


def table(folder: Path, infrared_cameras: list[int], test_share: float, seed: int) -> list[dict[str, str]]:
    """The lines of the list.

    Raises:
        DatasetError: no image, or one whose identity or modality cannot be found out.
    """
    from vireid.inference.labels import image_files

    folder = Path(os.path.abspath(folder))
    paths = sorted(Path(path) for path in image_files(folder)[0] if path.lower().endswith(SUFFIXES))
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise DatasetError(
                f"{str(path)!a}: its name is not text in UTF-8, so no list can hold it"
            ) from None
    if not paths:
        raise DatasetError(f"{folder} holds no image ({', '.join(SUFFIXES)})")
    images = [found for found in (read_path(path, folder) for path in paths) if found.identity != "-1"]
    drawn = draw_test([found for found in images if found.subset is None], test_share, seed)
    rows = []
    for found in images:
        modality = found.modality
        if modality is None and infrared_cameras and found.camera is not None:
            infrared = found.camera in infrared_cameras
            modality = Modality.INFRARED if infrared else Modality.VISIBLE
        if found.identity is None or modality is None:
            lacking = "identity" if found.identity is None else "modality"
            raise DatasetError(
                f"{found.path}: its path does not say its {lacking}; see vireid data list --help"
            )
        camera = found.camera if found.camera is not None else (2 if modality == Modality.INFRARED else 1)
        subset = found.subset or ("test" if found.identity in drawn else "train")
        values = (str(found.path), found.identity, str(camera), modality.name.lower(), subset)
        rows.append(dict(zip(COLUMNS, values)))
    return rows


def draw_test(images: list[Found], share: float, seed: int) -> set[str]:
    """The identities that are for testing: at least one, and not all, of several."""
    identities = sorted({found.identity for found in images if found.identity is not None})
    count = min(max(round(share * len(identities)), 1), max(len(identities) - 1, 0))
    return set(random.Random(seed).sample(identities, count))


def read_path(path: Path, folder: Path) -> Found:
    """What the part of a path below ``folder`` says."""
    identity, camera, modality, subset = None, None, None, None
    for part in path.relative_to(folder).parts[:-1]:
        word = part.lower()
        if word in WORDS:
            modality = WORDS[word]
        elif word in SUBSETS:
            subset = SUBSETS[word]
        elif match := CAMERA.fullmatch(word):
            camera = int(match[1])
        else:
            identity = part
    for word in re.split(r"[^a-z0-9]+", path.stem.lower()):
        modality = WORDS.get(word, modality)
    if match := PERSON_AND_CAMERA.match(path.name):
        identity, camera = match[1], int(match[2])
    return Found(path, identity, camera, modality, subset)
