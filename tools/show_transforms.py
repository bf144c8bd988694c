#!/usr/bin/env python
"""Draw what each of MCJA's augmentations makes of some visible images."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import random
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

EPILOG = """
Without images, persons are generated, and the last column is another picture of each, in infrared.

examples:
  python tools/show_transforms.py --output projects/MCJA/transforms.png
  python tools/show_transforms.py --output mine.png datasets/SYSU-MM01/cam1/0001/0001.jpg
"""
SIZE, GAP, LABEL = (128, 64), 3, 14


def main() -> int:
    """Draw and save; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="visible images, one a row")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.png", help="the picture")
    parser.add_argument("--rows", type=int, default=3, metavar="N", help="persons to generate (default 3)")
    parser.add_argument("--draws", type=int, default=2, metavar="N", help="of each augmentation (default 2)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="same seed, same picture (default 0)"
    )
    args = parser.parse_args()

    from vireid.errors import UserError

    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = [[path] for path in args.images] or generated(Path(folder), args.rows, args.seed)
            draw(rows, args.draws, args.seed).save(args.output, optimize=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(args.output)
    return 0


def generated(folder: Path, count: int, seed: int) -> list[list[Path]]:
    """A visible and an infrared image of each person."""
    from synthvi import generate_dataset

    generate_dataset(
        "sysu", folder / "data", identities=max(count, 12), images=1, seed=seed, size=SIZE, progress=False
    )
    persons = sorted(path.name for path in (folder / "data" / "cam1").iterdir())[:count]
    return [
        [folder / "data" / camera / person / "0001.jpg" for camera in ("cam1", "cam3")] for person in persons
    ]


def draw(rows: list[list[Path]], draws: int, seed: int) -> Image.Image:
    """A sheet with a row for each image, ``draws`` columns for each augmentation."""
    import vireid  # noqa: F401  isort: skip  (makes the toolkit importable)
    from mcja.vimc import ChannelCutMix, HueJitter, SpectrumJitter, WeightedGrayscale
    from vireid.images import read_image

    transforms = [kind(prob=1.0) for kind in (HueJitter, WeightedGrayscale, ChannelCutMix, SpectrumJitter)]
    random.seed(seed)
    sheet: list[list[Image.Image]] = []
    for paths in rows:
        image, *others = (read_image(path).resize(SIZE[::-1], Image.Resampling.BICUBIC) for path in paths)
        changed = [transform(image) for transform in transforms for _ in range(draws)]
        sheet.append([image, *changed, *others])
    titles = {0: "image", 1 + draws * len(transforms): "infrared"}
    titles.update({1 + draws * i: type(transform).__name__ for i, transform in enumerate(transforms)})
    return on_white(sheet, titles)


def on_white(sheet: list[list[Image.Image]], titles: dict[int, str]) -> Image.Image:
    """Images in rows and columns, with titles above some columns."""
    height, width = SIZE
    columns = len(sheet[0])
    picture = Image.new("RGB", (columns * (width + GAP), LABEL + len(sheet) * (height + GAP)), "white")
    pen = ImageDraw.Draw(picture)
    for column in range(columns):
        pen.text((column * (width + GAP), 1), titles.get(column, ""), fill="black")
        for row, images in enumerate(sheet):
            picture.paste(images[column], (column * (width + GAP), LABEL + row * (height + GAP)))
    return picture


if __name__ == "__main__":
    sys.exit(main())
