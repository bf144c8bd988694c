"""What stands in a place: the shapes of a background, as a map of material numbers.

Materials: 0 wall, 1 floor, 2 joints of the floor, 3 wainscot, 4 skirting, 5 to 19 things of any kind,
20 frames and glass, 21 sky and daylight, 22 leaves, 23 wood.
"""

import numpy as np
from PIL import Image, ImageDraw

MATERIALS, LEAVES = 24, 22


def draw_shapes(
    rng: np.random.Generator, outdoor: bool, height: int, width: int
) -> tuple[Image.Image, float]:
    """Draw the shapes of one place.

    Args:
        rng: the place's own generator.
        outdoor: draw houses, trees and cars; else a room.
        height, width: of the background in pixels.

    Returns:
        The material numbers, mode "L", at twice the size; and the row of the horizon, 0 (top) to 1.
    """
    rows, columns = 2 * height, 2 * width
    horizon = rng.uniform(0.45, 0.62)
    image = Image.new("L", (columns, rows), 0)
    pen = ImageDraw.Draw(image)
    edge = horizon * rows
    if outdoor:
        _outdoor(pen, rng, edge, rows, columns)
    else:
        _indoor(pen, rng, edge, rows, columns)
    pen.rectangle([0, edge, columns, rows], fill=1)
    vanish = rng.uniform(0.3, 0.7) * columns
    for x in np.linspace(-columns, 2 * columns, int(rng.integers(12, 40))):
        pen.line([(vanish + 0.55 * (x - vanish), edge), (x, rows)], fill=2, width=max(1, rows // 256))
    for share in np.cumsum(np.geomspace(0.03, 0.3, int(rng.integers(4, 8)))):
        pen.line(
            [(0, edge + share * (rows - edge)), (columns, edge + share * (rows - edge))],
            fill=2,
            width=max(1, rows // 256),
        )
    return image, horizon


def _indoor(pen: ImageDraw.ImageDraw, rng: np.random.Generator, edge: float, rows: int, columns: int) -> None:
    if rng.random() < 0.6:  # wainscot
        pen.rectangle([0, edge * rng.uniform(0.55, 0.75), columns, edge], fill=3)
    pen.rectangle([0, edge - 0.02 * rows, columns, edge], fill=4)
    x = -rng.uniform(0, 0.2) * rows
    while x < columns:
        wide, kind, thing = rng.uniform(0.15, 0.45) * rows, rng.random(), int(rng.integers(5, 20))
        if kind < 0.3:  # door with a frame
            pen.rectangle([x, 0.06 * rows, x + wide, edge], fill=20)
            pen.rectangle([x + 0.02 * rows, 0.08 * rows, x + wide - 0.02 * rows, edge], fill=thing)
        elif kind < 0.55:  # window
            pen.rectangle([x, 0.05 * rows, x + wide, 0.3 * rows], fill=21)
            pen.line(
                [(x + wide / 2, 0.05 * rows), (x + wide / 2, 0.3 * rows)], fill=20, width=max(1, rows // 100)
            )
        elif kind < 0.75:  # posters
            top = rng.uniform(0.08, 0.2) * rows
            pen.rectangle([x, top, x + 0.6 * wide, top + 0.2 * rows], fill=thing)
            rim = 0.015 * rows
            pen.rectangle(
                [x + rim, top + rim, x + 0.6 * wide - rim, top + 0.1 * rows], fill=(thing + 3) % 15 + 5
            )
        elif kind < 0.9:  # pillar
            pen.rectangle([x, 0, x + 0.35 * wide, edge], fill=thing)
        x += wide + rng.uniform(0.05, 0.3) * rows


def _outdoor(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, edge: float, rows: int, columns: int
) -> None:
    pen.rectangle([0, 0, columns, edge], fill=21)  # sky
    x = 0.0
    while x < columns:  # houses
        wide, top, thing = (
            rng.uniform(0.3, 0.9) * rows,
            rng.uniform(0.0, 0.35) * rows,
            int(rng.integers(5, 12)),
        )
        pen.rectangle([x, top, x + wide, edge], fill=thing)
        for row in np.arange(top + 0.05 * rows, edge - 0.1 * rows, 0.13 * rows):
            for column in np.arange(x + 0.05 * rows, x + wide - 0.06 * rows, 0.12 * rows):
                pen.rectangle([column, row, column + 0.05 * rows, row + 0.07 * rows], fill=20)
        x += wide + rng.uniform(0.0, 0.3) * rows
    for _ in range(int(rng.integers(4, 9))):  # trees and hedges
        x, size = rng.uniform(0, columns), rng.uniform(0.06, 0.16) * rows
        pen.rectangle([x - 0.015 * rows, edge - 2.5 * size, x + 0.015 * rows, edge], fill=23)
        for _ in range(9):
            cx, cy = x + rng.normal(0, 0.6) * size, edge - 2.6 * size + rng.normal(0, 0.5) * size
            pen.ellipse([cx - size, cy - size, cx + size, cy + size], fill=22)
    for _ in range(int(rng.integers(1, 4))):  # parked cars
        x, thing = rng.uniform(0, columns), int(rng.integers(12, 20))
        pen.rectangle([x, edge - 0.1 * rows, x + 0.5 * rows, edge], fill=thing)
        pen.polygon(
            [
                (x + 0.08 * rows, edge - 0.1 * rows),
                (x + 0.14 * rows, edge - 0.18 * rows),
                (x + 0.36 * rows, edge - 0.18 * rows),
                (x + 0.44 * rows, edge - 0.1 * rows),
            ],
            fill=20,
        )
