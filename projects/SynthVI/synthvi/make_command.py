"""Make a dataset of rendered persons, in the layout of SYSU-MM01, RegDB, LLCM, HITSZ-VCM or Market-1501."""

import argparse
import sys
from pathlib import Path

from PIL import Image

from synthvi import LAYOUTS, RECIPES, generate_dataset, write_contact_sheet
from synthvi.benchmark import verify_benchmark, write_benchmark
from synthvi.checksums import FILE
from synthvi.generate import Report
from synthvi.recipe import CONDITIONS, LAYOUT, find_recipe
from vireid.errors import UserError

EXAMPLES = """\
images per identity (--images K):
  sysu    K images from each of 6 cameras (3 and 6 are infrared)
  regdb   K visible and K infrared images (the real data has 10)
  llcm    K images from each of 9 visible and 8 infrared cameras
  vcm     tracks of K images, 12 or more, from each of 4 visible and 4 infrared cameras
  market  K images, 2 or more, from each of 6 visible cameras

identities for testing, where --test-identities is not given:
  sysu    96 of 491, as in the real data; of the others, 99 of 395 are in val_id.txt
  regdb   half, in each of ten random splits
  llcm    351 of 1064
  vcm     427 of 927
  market  750 of 1501

examples:
  vireid data make --layout sysu --output datasets/SYSU-MM01 --identities 360 --images 8 --seed 0 \\
      --test-identities 60 --size 128x64
  vireid data make --layout regdb --output datasets/RegDB --identities 100 --images 10 --seed 0
  vireid data make --layout llcm --output datasets/LLCM --identities 100 --images 4 --preview llcm.png
  vireid data make --recipe synthvi-1.0-small --output datasets/SYSU-MM01
  vireid data make --verify datasets/SYSU-MM01
"""
FIXED_BY_RECIPE = ("layout", "identities", "images", "seed", "size", "test_identities", "conditions")


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from HxW."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"size is {text!r}; expected HxW, for example 256x128")
    return int(height), int(width)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is made or verified."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--layout", choices=sorted(LAYOUTS), help="whose files and lists")
    what.add_argument("--recipe", metavar="NAME", help=f"a frozen benchmark: {', '.join(RECIPES)}")
    what.add_argument("--verify", metavar="DIR", help=f"compare a dataset with its {FILE}; write nothing")
    parser.add_argument("--output", metavar="DIR", help="the dataset's own folder, new or empty")
    parser.add_argument("--identities", type=int, metavar="N", help="persons in all")
    parser.add_argument("--images", type=int, metavar="K", help="images of each, see below")
    parser.add_argument("--seed", type=int, metavar="S", help="same seed, same files (default 0)")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="default 256x128")
    parser.add_argument(
        "--test-identities", type=int, metavar="N", help="how many of them are for testing, see below"
    )
    parser.add_argument(
        "--conditions",
        choices=sorted(CONDITIONS),
        help="plain (default): aligned boxes, good light, no occlusion; synthvi-1.0: those of the benchmark",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument("--preview", metavar="FILE.png", help="also draw a contact sheet of some identities")


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse arguments that do not fit together.

    Raises:
        UserError: one is missing, or the recipe fixes it, or the preview could not be written.
    """
    needed = ("output", "identities", "images") if args.layout else ("output",) if args.recipe else ()
    missing = [f"--{name}" for name in needed if getattr(args, name) is None]
    if missing:
        raise UserError(f"{'--layout' if args.layout else '--recipe'} needs {', '.join(missing)}")
    kinds = Image.registered_extensions()
    if args.preview and kinds.get(Path(args.preview).suffix.lower()) not in Image.SAVE:
        raise UserError(f"--preview {args.preview}: no picture has such a name; expected FILE.png")
    if args.preview and Path(args.preview).is_dir():
        raise UserError(f"--preview {args.preview} is a folder; name a file in it")
    given = [f"--{name.replace('_', '-')}" for name in FIXED_BY_RECIPE if getattr(args, name) is not None]
    if args.recipe and given:
        raise UserError(f"the recipe fixes {', '.join(given)}; leave it out")


def generate(args: argparse.Namespace) -> Report:
    """Generate the dataset that --layout describes."""
    return generate_dataset(
        args.layout,
        args.output,
        identities=args.identities,
        images=args.images,
        seed=args.seed or 0,
        size=args.size or (256, 128),
        workers=args.workers,
        test_identities=args.test_identities,
        conditions=CONDITIONS[args.conditions or "plain"],
    )


def generate_recipe(args: argparse.Namespace) -> Report:
    """Generate the dataset of --recipe, and say whether it is the published one."""
    benchmark = write_benchmark(find_recipe(args.recipe), args.output, args.workers)
    if benchmark.as_published:
        print(f"{args.recipe}: every file is as published (sha256 of {FILE}: {benchmark.digest})")
    else:
        print(
            f"{args.recipe}: some files are NOT as published (sha256 of {FILE}: {benchmark.digest}). Other "
            "versions of NumPy, SciPy and Pillow write other bytes; README.md of SynthVI names those used",
            file=sys.stderr,
        )
    return benchmark.report


def run(args: argparse.Namespace) -> None:
    """Generate or verify, draw the contact sheet, print."""
    check_arguments(args)
    if args.verify:
        name = verify_benchmark(args.verify)
        print(f"{args.verify}: every file is as in {FILE}, {name or 'which is of no published recipe'}")
        return
    report = generate_recipe(args) if args.recipe else generate(args)
    if args.preview:
        write_contact_sheet(args.preview, report.output, report.plan)
    print(
        f"{len(report.plan.shots)} images in {report.seconds:.1f} s, {report.images_per_second:.0f} images/s"
    )
    expected = LAYOUTS[args.layout or LAYOUT].folder
    if report.output.name == expected:
        print(f"to train on it: export FASTREID_DATASETS={report.output.parent.resolve()}")
    else:
        print(f"to train on it, name the folder {expected} (now {report.output.name})")


def interrupted(args: argparse.Namespace) -> str:
    """What is left."""
    return "" if args.verify else f"; {args.output} is incomplete: delete it"
