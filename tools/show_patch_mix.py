#!/usr/bin/env python
"""Draw patch-mixed images of generated persons: a row for each person, a column for each mix ratio."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from pmcm import patch_mix
from synthvi import generate_dataset

RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIZE = (192, 96)
GAP = 4


def main() -> None:
    """Generate, mix, draw, save."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example:\n  python tools/show_patch_mix.py --output projects/PMCM/patch_mix.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where the picture goes")
    parser.add_argument("--persons", type=int, default=3, metavar="N", help="rows (default 3)")
    parser.add_argument("--patch-size", type=int, default=16, metavar="S", help="in pixels (default 16)")
    parser.add_argument("--seed", type=int, default=0, help="of persons and masks (default 0)")
    args = parser.parse_args()

    visible, infrared = person_images(args.persons, args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    mixes = [patch_mix(visible, infrared, ratio, args.patch_size, generator)[0] for ratio in RATIOS]
    height, width = SIZE
    picture = Image.new("RGB", (len(RATIOS) * (width + GAP), 16 + args.persons * (height + GAP)), "white")
    draw = ImageDraw.Draw(picture)
    for column, (ratio, mixed) in enumerate(zip(RATIOS, mixes)):
        draw.text((column * (width + GAP), 2), f"p = {ratio:g}", fill="black")
        for row, image in enumerate(mixed):
            corner = column * (width + GAP), 16 + row * (height + GAP)
            picture.paste(Image.fromarray(image.permute(1, 2, 0).numpy()), corner)
    picture.save(args.output)
    print(args.output)


def person_images(persons: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A visible and an infrared image of each of some persons: (N, 3, H, W) uint8 each."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate_dataset(
            "sysu", root, identities=max(persons, 6), images=1, seed=seed, size=SIZE, progress=False
        )
        names = [f"{pid:04d}/0001.jpg" for pid in range(1, persons + 1)]
        cameras = [
            [np.asarray(Image.open(root / camera / name)) for name in names] for camera in ("cam1", "cam3")
        ]
    visible, infrared = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) for images in cameras)
    return visible, infrared


if __name__ == "__main__":
    main()
