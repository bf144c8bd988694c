"""Draw patch-mixed images of generated persons: a row for each person, a column for each mix ratio."""

import argparse

from vireid.command_line import number_from
from vireid.files import PICTURES, output_file

EXAMPLES = """
example:
  vireid show patch-mix --output patch_mix.png
"""
RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIZE, GAP, MARGIN, LABEL = (192, 96), 4, 8, 18  # pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is drawn."""
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where the picture goes")
    parser.add_argument("--persons", type=number_from(1), default=3, metavar="N", help="rows (default 3)")
    parser.add_argument(
        "--patch-size", type=number_from(1), default=16, metavar="S", help="in pixels (default 16)"
    )
    parser.add_argument(
        "--seed", type=number_from(0), default=0, metavar="S", help="of persons and masks (default 0)"
    )


def run(args: argparse.Namespace) -> None:
    """Generate, mix, draw, save."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw, ImageFont

    from pmcm.mixing import patch_mix
    from synthvi.pictures import person_pictures

    output_file(args.output, PICTURES)
    persons = person_pictures(args.persons, args.seed, SIZE)
    visible, infrared = (
        torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)
        for images in zip(*persons)
    )
    generator = torch.Generator().manual_seed(args.seed)
    mixes = [patch_mix(visible, infrared, ratio, args.patch_size, generator)[0] for ratio in RATIOS]
    height, width = SIZE
    columns, rows = len(RATIOS), args.persons
    size = columns * (width + GAP) - GAP + 2 * MARGIN, rows * (height + GAP) - GAP + LABEL + 2 * MARGIN
    picture = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=12)
    for column, (ratio, mixed) in enumerate(zip(RATIOS, mixes)):
        left = MARGIN + column * (width + GAP)
        pen.text((left, MARGIN), f"p = {ratio:g}", fill="black", font=font)
        for row, image in enumerate(mixed):
            corner = left, MARGIN + LABEL + row * (height + GAP)
            picture.paste(Image.fromarray(image.permute(1, 2, 0).numpy()), corner)
    picture.save(args.output)
    print(args.output)
