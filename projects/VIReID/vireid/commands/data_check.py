"""Check the folder of a dataset: count its images, and list what is wrong with its lists and files.

Every file is read once. Sizes may differ from image to image; what counts as a fault is listed below.
"""

import argparse
import logging
import os
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vireid.data.verification import CountRow, Verification

EXAMPLES = """
faults:
  lists     missing, malformed, or naming images that do not exist; an image that is listed twice, under two
            labels, or outside the dataset's folder; an identity with two labels; a modality's list whose
            images are in the folder of the other; a rand_perm_cam.mat that does not permute the images
  split     identities or images in both training and test
  images    empty, unreadable, not 8 bits a channel, transparent in part, or fewer than 4 pixels high or
            wide; the same content in training and test, under two identities or in both modalities;
            infrared images with color, and visible cameras without
  queries   more than half of a setting's without a match in its gallery; fewer are a note
  counts    other than published, where the training or the test identities are as many as published, or
            --published is given

examples:
  vireid data check --dataset SYSUMM01 --root /data
  vireid data check --dataset RegDB --published     # the ten splits; under $FASTREID_DATASETS
  vireid data check --dataset LLCM --sample all     # decodes every image, a minute or so
  vireid data check --dataset List DATASETS.LIST.FILE list.csv
  vireid data check --dataset NightWatch --plugin night_watch.dataset

exit status: 0 without faults, 1 with faults, 2 where there is nothing to check.
"""
SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which dataset, and how closely it is looked at."""
    parser.add_argument("--dataset", required=True, metavar="NAME", help="its registered name")
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="the folder that holds the dataset's (default: $FASTREID_DATASETS, or datasets)",
    )
    parser.add_argument(
        "--published",
        action=argparse.BooleanOptionalAction,
        help="whether counts have to be the published ones (default: by the number of identities)",
    )
    parser.add_argument(
        "--sample",
        type=sample_size,
        default=32,
        metavar="N",
        help="how many images of each modality and camera are decoded, or all (default 32)",
    )
    parser.add_argument("--all", action="store_true", help=f"show more than {SHOWN} faults of a kind")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE", help="a module that registers the dataset"
    )
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="settings of the dataset, as in a config"
    )


def run(args: argparse.Namespace) -> int:
    """Check and print; the exit status."""
    from fastreid.config import get_cfg

    from vireid import add_vireid_config
    from vireid.config.plugins import load_plugins
    from vireid.data import build_dataset
    from vireid.data.datasets import VisibleInfraredDataset
    from vireid.data.verification import verify
    from vireid.engine import merge_config
    from vireid.errors import ConfigError

    logging.basicConfig(level=logging.WARNING, format="note: %(message)s")
    if args.root:
        os.environ["FASTREID_DATASETS"] = args.root
    cfg = get_cfg()
    add_vireid_config(cfg)
    load_plugins(cfg, args.plugin)
    merge_config(cfg, "", args.opts)
    dataset = build_dataset(cfg, args.dataset)
    if not isinstance(dataset, VisibleInfraredDataset):
        raise ConfigError(f"--dataset {args.dataset} is not a visible-infrared dataset, as SYSUMM01 is")
    found = verify(dataset, published=args.published, sample=args.sample)
    show(found, len(dataset.parts()), args.all)
    return 1 if found.faults else 0


def show(found: "Verification", parts: int, everything: bool) -> None:
    """Print the table, the notes and the faults."""
    from tabulate import tabulate

    headers = ["subset", "modality", "camera", "images", "identities"]
    headers += ["published images", "published identities"]
    rows = [row_cells(row, parts) for row in found.rows]
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))
    for note in found.notes:
        print(f"note: {note}")
    kinds = Counter(kind(fault) for fault in found.faults)
    shown: Counter[str] = Counter()
    for fault in found.faults:
        alike = kind(fault)
        shown[alike] += 1
        if everything or shown[alike] <= SHOWN:
            print(f"fault: {fault}")
        elif shown[alike] == SHOWN + 1:
            print(f"fault: ... and {kinds[alike] - SHOWN} more like the last (--all shows them)")
    print(f"{len(found.faults)} fault{'s' * (len(found.faults) != 1)}" if found.faults else "no faults")


def row_cells(row: "CountRow", parts: int) -> list[object]:
    """The cells of a row of the table; 'train (split 3)' where the splits differ."""
    subset, modality, camera = row.group
    names = ", ".join(row.parts[:3]) + ", ..." * (len(row.parts) > 3)
    return [
        (subset or "both") + (f" ({names})" if len(row.parts) < parts else ""),
        "both" if modality is None else modality.name.lower(),
        "all" if camera is None else camera,
        *row.found,
        *("" if number is None else number for number in row.published),
    ]


def kind(fault: str) -> str:
    """The fault without its numbers: faults that differ in those alone are alike."""
    return re.sub(r"\d+", "", fault)


def sample_size(text: str) -> int | None:
    """A number, or None for "all"."""
    if text == "all":
        return None
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor all")
    return int(text)
