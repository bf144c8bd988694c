"""List the images of a folder for the dataset List: a CSV file, to be looked at and edited.

Identity, camera, modality and subset are found in the path of each image, below FOLDER.
"""

import argparse
import csv
import io
import os
import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from vireid.command_line import number_from, share
from vireid.errors import DatasetError
from vireid.files import output_file
from vireid.image_layouts import Choices, Named, contradictions, read_paths
from vireid.image_names import READ_SUFFIXES, VALIDATION, image_files
from vireid.modality import Modality

EXAMPLES = """
what is found in a path below FOLDER; each level of folders is taken for one thing, and printed:
  identity   a file name as those of Market-1501, 0005_c2s1_000351_01.jpg; else the level of folders that are
             numbers, 0005/; else the one whose names say nothing else. A date is none.
  camera     such a file name; a folder cam2, camA or camera_gate; else 1 for visible and 2 for infrared
  modality   a folder, or the end of the file name, called visible, vis or rgb; infrared, ir, nir or thermal;
             a word that is at the same place of all names; else --infrared-cameras
  subset     a folder train, test, query or gallery, or bounding_box_train and bounding_box_test; else
             --test-share of the identities, drawn by --seed, are for testing

left out and counted: identity -1 (junk), folders val, files of formats that are not read. Refused: what names
contradict each other in, one identity or camera for all images, identities of one image each.

examples:
  visible/0001/a.jpg and infrared/0001/b.jpg, half of the identities for testing:
    vireid data list photos --output photos/list.csv
  names as those of Market-1501, where cameras 3 and 6 are infrared:
    vireid data list market --output market/list.csv --infrared-cameras 3 6
  0001/rgb/D1/a.jpg, of person 1 and camera D1:
    vireid data list photos --output photos/list.csv --camera-level 3
  train on it:
    vireid train --config-file pmcm/sysu DATASETS.NAMES '["List"]' DATASETS.TESTS '["List"]' \\
        DATASETS.LIST.FILE photos/list.csv
"""
COLUMNS = ("path", "identity", "camera", "modality", "subset")
JUNK = "-1"  # of Market-1501
DEFAULT_CAMERAS = {Modality.VISIBLE: "1", Modality.INFRARED: "2"}
FEW = 4  # images from which on one identity or camera, or an identity for each, is not meant


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
    settled = parser.add_argument_group("where names leave it open", "or lead to something else")
    for what in ("identity", "camera"):
        help = f"the {what} is the N-th folder below FOLDER"
        settled.add_argument(f"--{what}-level", type=number_from(1), default=0, metavar="N", help=help)
    settled.add_argument(
        "--pattern",
        default="",
        metavar="REGEX",
        help="looked for in each path below FOLDER; its groups (?P<identity>...), camera, modality or subset",
    )


def run(args: argparse.Namespace) -> None:
    """Find the images, write the list, and count what is in it."""
    from tabulate import tabulate

    if not args.folder.is_dir():
        raise DatasetError(f"{args.folder} is no folder")
    output = output_file(args.output or args.folder / "list.csv")
    choices = Choices(args.identity_level, args.camera_level, args.pattern)
    images, lines = found_images(args.folder, args.infrared_cameras, choices)
    print("\n".join(lines))
    refuse_implausible(images, choices)
    rows = table(images, args.test_share, args.seed)
    places = [place(Path(row["path"]), output) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "path": path} for row, path in zip(rows, places))
    output.write_text(text.getvalue(), encoding="utf-8", newline="")
    counted = Counter((row["subset"], row["modality"]) for row in rows)
    identities = {
        group: len({row["identity"] for row in rows if (row["subset"], row["modality"]) == group})
        for group in counted
    }
    counts = [[*group, counted[group], identities[group]] for group in sorted(counted)]
    print(tabulate(counts, headers=["subset", "modality", "images", "identities"], tablefmt="pipe"))
    print(f"{output}: {len(rows)} images; DATASETS.LIST.FILE names it")


def place(image: Path, output: Path) -> str:
    """An image's path in the list: relative to the list's folder where it is below it, else in full."""
    image, folder = Path(os.path.abspath(image)), Path(os.path.abspath(output)).parent
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)


def found_images(
    folder: Path, infrared_cameras: list[int], choices: Choices
) -> tuple[dict[Path, Named], list[str]]:
    """The images below a folder with what their paths say, and lines that tell how paths were read and which
    files were left out.

    Raises:
        DatasetError: there is no image, or a name that is not text.
        ConfigError: see ``read_paths``.
    """
    folder = Path(os.path.abspath(folder))
    files, others = image_files(folder)
    paths = sorted(Path(path) for path in files if path.lower().endswith(READ_SUFFIXES))
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise DatasetError(
                f"{str(path)!a}: its name is not text in UTF-8, so no list can hold it"
            ) from None
    if not paths:
        raise DatasetError(f"{folder} holds no image ({', '.join(READ_SUFFIXES)})")
    found, lines = read_paths([path.relative_to(folder) for path in paths], choices)
    images, left = {}, defaultdict(list)
    left["formats that are not read"] = sorted({*map(Path, files)} - {*paths})
    for path, named in zip(paths, found):
        if named.identity == JUNK or named.subset == VALIDATION:
            left["no person" if named.identity == JUNK else "the subset val"].append(path)
            continue
        if named.modality is None and infrared_cameras and named.camera is not None:
            infrared = named.camera in map(str, infrared_cameras)
            named = replace(named, modality=Modality.INFRARED if infrared else Modality.VISIBLE)
        images[path] = named
    unnamed = sum(named.camera is None for named in images.values())
    if unnamed:
        lines.append(f"camera: no name says it of {unnamed} images; 1 for visible and 2 for infrared ones")
    for why, gone in left.items():
        examples = ", ".join(path.relative_to(folder).as_posix() for path in gone[:3])
        lines += [f"left out, {why}: {len(gone)} images, such as {examples}"] if gone else []
    lines += [f"left out, other files: {others}"] if others else []
    return images, lines


def refuse_implausible(images: dict[Path, Named], choices: Choices) -> None:
    """Refuse what paths leave open or contradict, and what was probably not meant by them.

    Raises:
        DatasetError: names one of the images, and how many there are.
    """
    for told in contradictions(list(images), list(images.values())):
        raise DatasetError(f"{told}; see vireid data list --help")
    faults = {}
    cameras = {named.camera for named in images.values()}
    for name in ("identity", "modality", "subset", "camera"):
        lacking = [path for path, named in images.items() if getattr(named, name) is None]
        if name in ("identity", "modality"):
            faults[f"its path does not say its {name}"] = lacking
        elif len(lacking) < len(images) and (name == "subset" or cameras & {*DEFAULT_CAMERAS.values()}):
            faults[f"its path does not say its {name}, as others do"] = lacking
    for fault, paths in faults.items():
        if paths:
            told = f"{len(paths)} of {len(images)} images"
            raise DatasetError(f"{paths[0]}: {fault}; see vireid data list --help ({told})")
    persons = Counter(named.identity for named in images.values())
    implausible = ""
    if not choices.identity_level and "(?P<identity>" not in choices.pattern:
        if len(persons) == 1:
            implausible = f"of one identity, {next(iter(persons))}"
        elif max(persons.values()) == 1:
            implausible = "of an identity of its own each"
    if not choices.camera_level and len(cameras) == 1 and None not in cameras:
        implausible = implausible or f"of one camera, {next(iter(cameras))}"
    if implausible and len(images) >= FEW:
        raise DatasetError(
            f"all {len(images)} images are {implausible}; --identity-level, --camera-level or --pattern says "
            "what is meant"
        )


def table(images: dict[Path, Named], test_share: float, seed: int) -> list[dict[str, str]]:
    """The lines of the list."""
    drawn = draw_test([named for named in images.values() if named.subset is None], test_share, seed)
    rows = []
    for path, named in images.items():
        assert named.modality is not None
        camera = named.camera or DEFAULT_CAMERAS[named.modality]
        subset = named.subset or ("test" if named.identity in drawn else "train")
        modality = named.modality.name.lower()
        values = (str(path), str(named.identity), camera, modality, subset)
        rows.append(dict(zip(COLUMNS, values)))
    return rows


def draw_test(images: list[Named], share: float, seed: int) -> set[str]:
    """The identities that are for testing: at least one, and not all, of several."""
    identities = sorted({named.identity for named in images if named.identity is not None})
    count = min(max(round(share * len(identities)), 1), max(len(identities) - 1, 0))
    return set(random.Random(seed).sample(identities, count))
