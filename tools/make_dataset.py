#!/usr/bin/env python
"""Make a visible-infrared dataset of rendered persons, in the layout of SYSU-MM01, RegDB or LLCM."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import sys

from synthvi import LAYOUTS, generate_dataset, write_contact_sheet
from vireid.errors import UserError

EPILOG = """\
images per identity (--images K):
  sysu    K images from each of 6 cameras (3 and 6 are infrared)
  regdb   K visible and K infrared images (the real data has 10)
  llcm    K images from each of 9 visible and 8 infrared cameras

identities for testing, where --test-identities is not given:
  sysu    96 of 491, as in the real data; of the others, 99 of 395 are in val_id.txt
  regdb   half, in each of ten random splits
  llcm    351 of 1064

examples:
  make_dataset.py --layout sysu --output datasets/SYSU-MM01 --identities 360 --images 8 --seed 0 \\
      --test-identities 60 --size 128x64
  make_dataset.py --layout regdb --output datasets/RegDB --identities 100 --images 10 --seed 0
  make_dataset.py --layout llcm --output datasets/LLCM --identities 100 --images 4 --seed 0 --preview llcm.png
"""


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from HxW."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"size is {text!r}; expected HxW, for example 256x128")
    return int(height), int(width)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS), help="whose files and lists")
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="the dataset's own folder, new or empty"
    )
    parser.add_argument("--identities", required=True, type=int, metavar="N", help="persons in all")
    parser.add_argument("--images", required=True, type=int, metavar="K", help="images of each, see below")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="same seed, same files (default 0)")
    parser.add_argument("--size", type=parse_size, default=(256, 128), metavar="HxW", help="default 256x128")
    parser.add_argument(
        "--test-identities", type=int, metavar="N", help="how many of them are for testing, see below"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument("--preview", metavar="FILE.png", help="also draw a contact sheet of some identities")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Generate, draw the contact sheet, print; the exit status."""
    args = build_parser().parse_args(argv)
    try:
        report = generate_dataset(
            args.layout,
            args.output,
            identities=args.identities,
            images=args.images,
            seed=args.seed,
            size=args.size,
            workers=args.workers,
            test_identities=args.test_identities,
        )
        if args.preview:
            write_contact_sheet(args.preview, report.output, report.plan)
    except (UserError, OSError, ValueError) as error:  # ValueError: a suffix that Pillow does not know
        print(f"make_dataset.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"make_dataset.py: interrupted; {args.output} is incomplete: delete it", file=sys.stderr)
        return 130
    print(
        f"{len(report.plan.shots)} images in {report.seconds:.1f} s, {report.images_per_second:.0f} images/s"
    )
    if report.output.name == LAYOUTS[args.layout].folder:
        print(f"to train on it: export FASTREID_DATASETS={report.output.parent.resolve()}")
    else:
        print(f"to train on it, name the folder {LAYOUTS[args.layout].folder} (now {report.output.name})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
