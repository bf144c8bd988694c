"""Draw what each of MCJA's augmentations makes of some visible images."""

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING

from vireid.command_line import number_from
from vireid.files import PICTURES, output_file

if TYPE_CHECKING:
    from PIL import Image

EXAMPLES = """
Without images, persons are generated, and the last column is another picture of each, in infrared.

examples:
  vireid show transforms --output transforms.png
  vireid show transforms --output mine.png datasets/SYSU-MM01/cam1/0001/0001.jpg
"""
SIZE, GAP, MARGIN, LABEL = (128, 64), 3, 8, 18  # pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is drawn."""
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="visible images, one a row")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.png", help="the picture")
    parser.add_argument(
        "--rows", type=number_from(1), default=3, metavar="N", help="persons to generate (default 3)"
    )
    parser.add_argument(
        "--draws", type=number_from(1), default=2, metavar="N", help="of each augmentation (default 2)"
    )
    parser.add_argument(
        "--seed", type=number_from(0), default=0, metavar="S", help="same seed, same picture (default 0)"
    )


def run(args: argparse.Namespace) -> None:
    """Draw and save."""
    import fastreid  # noqa: F401  (vireid.data follows it)

    from synthvi.pictures import person_pictures
    from vireid.images import read_image

    output_file(args.output, PICTURES)
    rows: list[list[Image.Image]] = [[read_image(path)] for path in args.images]
    rows = rows or [[*pictures] for pictures in person_pictures(args.rows, args.seed, SIZE)]
    draw(rows, args.draws, args.seed).save(args.output, optimize=True)
    print(args.output)


def draw(rows: "list[list[Image.Image]]", draws: int, seed: int) -> "Image.Image":
    """A sheet with a row for each image, ``draws`` columns for each augmentation."""
    from PIL import Image

    from mcja.vimc import ChannelCutMix, HueJitter, SpectrumJitter, WeightedGrayscale

    transforms = [kind(prob=1.0) for kind in (HueJitter, WeightedGrayscale, ChannelCutMix, SpectrumJitter)]
    random.seed(seed)
    sheet: list[list[Image.Image]] = []
    for pictures in rows:
        image, *others = (picture.resize(SIZE[::-1], Image.Resampling.BICUBIC) for picture in pictures)
        changed = [transform(image) for transform in transforms for _ in range(draws)]
        sheet.append([image, *changed, *others])
    titles = {0: "image", 1 + draws * len(transforms): "infrared"}
    titles.update({1 + draws * i: type(transform).__name__ for i, transform in enumerate(transforms)})
    return on_white(sheet, titles)


def on_white(sheet: "list[list[Image.Image]]", titles: dict[int, str]) -> "Image.Image":
    """Images in rows and columns, with titles above some columns."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = SIZE
    columns = len(sheet[0])
    size = columns * (width + GAP) - GAP + 2 * MARGIN, len(sheet) * (height + GAP) - GAP + LABEL + 2 * MARGIN
    picture = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=12)
    for column in range(columns):
        left = MARGIN + column * (width + GAP)
        pen.text((left, MARGIN), titles.get(column, ""), fill="black", font=font)
        for row, images in enumerate(sheet):
            picture.paste(images[column], (left, MARGIN + LABEL + row * (height + GAP)))
    return picture
