"""Things that stand between the camera and a person."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from synthvi.camera import Camera

_BODY, _DARK, _LIGHT = 1, 2, 3  # labels of an obstacle
Paint = Callable[[ImageDraw.ImageDraw, np.random.Generator, int, int], None]


def paint_obstacle(
    camera: Camera, dataset_seed: int, seed: int, height: int, width: int
) -> tuple[Image.Image, np.ndarray]:
    """One thing of the camera's place, somewhere before the person.

    A kind of thing keeps its look at a place; its position and size change.

    Args:
        camera: decides the place, and the modality of the colors.
        dataset_seed: of the look.
        seed: of the kind and the position.
        height, width: of the map in pixels.

    Returns:
        The label map, mode "L", 0 for nothing; and the palette (256, 3) or, infrared, (256, 1) uint8.
    """
    rng = np.random.default_rng([seed, 1])
    kinds = OUTDOOR if camera.outdoor else INDOOR
    kind = int(rng.integers(len(kinds)))
    labels = Image.new("L", (width, height), 0)
    kinds[kind](ImageDraw.Draw(labels), rng, height, width)
    return labels, _palette(camera, dataset_seed, kind)


def _palette(camera: Camera, seed: int, kind: int) -> np.ndarray:
    """The look of a kind of thing at a place: drawn independently for both modalities."""
    rng = np.random.default_rng([seed, 14, camera.place, kind, camera.infrared])
    palette = np.zeros((256, 1 if camera.infrared else 3))
    if camera.infrared:
        body = np.array([rng.uniform(0.2, 0.75)])
    else:
        gray = rng.uniform(0.2, 0.65)
        body = np.clip(gray * (1 + 0.15 * rng.uniform(-1, 1, 3)), 0, 1)
    if camera.outdoor and kind == 0:  # leaves are green, and shine in near infrared
        body = np.array([0.8]) if camera.infrared else np.array([0.2, 0.36, 0.15])
    palette[_BODY], palette[_DARK], palette[_LIGHT] = body, 0.55 * body, 0.3 + 0.6 * body
    return np.clip(np.rint(235 * palette), 0, 255).astype(np.uint8)


def _hedge(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    top, side = rng.uniform(0.62, 0.78) * rows, rng.choice([-0.2, 0.0, 0.35])
    for _ in range(26):
        x, y = (side + rng.uniform(0, 0.85)) * columns, top + rng.uniform(0, 0.4) * rows
        radius = rng.uniform(0.04, 0.08) * rows
        shade = _BODY if rng.random() < 0.65 else _DARK
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=shade)


def _pole(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    x, half = rng.uniform(0.22, 0.78) * columns, rng.uniform(0.03, 0.09) * columns
    pen.rectangle([x - half, 0, x + half, rows], fill=_BODY)
    pen.rectangle([x + 0.4 * half, 0, x + half, rows], fill=_DARK)


def _car(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    top, toward = rng.uniform(0.66, 0.78) * rows, int(rng.choice([-1, 1]))
    edge = columns * (0.5 - toward * rng.uniform(0.1, 0.4))
    far = edge + 3 * toward * columns
    slope = edge + 0.35 * toward * columns
    pen.polygon([(edge, rows), (edge, top + 0.06 * rows), (slope, top), (far, top), (far, rows)], fill=_BODY)
    roof, pane = top - 0.1 * rows, slope + 0.3 * toward * columns
    pen.polygon([(slope, top), (pane, roof), (far, roof), (far, top)], fill=_DARK)
    lamp = [edge + 0.02 * toward * columns, edge + 0.14 * toward * columns]
    pen.rectangle([min(lamp), top + 0.07 * rows, max(lamp), top + 0.11 * rows], fill=_LIGHT)


def _bin(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    x, half = rng.uniform(0.25, 0.75) * columns, rng.uniform(0.14, 0.24) * columns
    top = rng.uniform(0.64, 0.76)
    pen.polygon(
        [(x - half, top * rows), (x + half, top * rows), (x + 0.8 * half, rows), (x - 0.8 * half, rows)],
        fill=_BODY,
    )
    pen.rectangle([x - 1.1 * half, (top - 0.03) * rows, x + 1.1 * half, (top + 0.01) * rows], fill=_DARK)


def _railing(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    top, step = rng.uniform(0.55, 0.68) * rows, rng.uniform(0.14, 0.22) * columns
    bar = max(1.0, 0.012 * rows)
    for x in np.arange(rng.uniform(0, 1) * step, columns, step):
        pen.rectangle([x - 0.5 * bar, top, x + 0.5 * bar, rows], fill=_DARK)
    for y in (top, top + 0.16 * rows):
        pen.rectangle([0, y - bar, columns, y + bar], fill=_BODY)


def _desk(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    top, edge = rng.uniform(0.62, 0.74) * rows, rng.choice([-1.0, 0.25, 0.5]) * columns
    far = edge + rng.uniform(0.9, 1.4) * columns
    pen.rectangle([edge + 0.05 * columns, top, far - 0.05 * columns, rows], fill=_DARK)
    pen.rectangle([edge, top, far, top + 0.05 * rows], fill=_BODY)
    x = edge + rng.uniform(0.2, 0.6) * columns  # a screen on the desk
    pen.rectangle([x, top - 0.09 * rows, x + 0.25 * columns, top], fill=_DARK)


def _chair(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    x, half, seat = rng.uniform(0.25, 0.75) * columns, rng.uniform(0.15, 0.22) * columns, 0.8 * rows
    top = rng.uniform(0.6, 0.68) * rows
    pen.rectangle([x - half, top, x + half, top + 0.11 * rows], fill=_BODY)
    pen.rectangle([x - 1.1 * half, seat, x + 1.1 * half, seat + 0.035 * rows], fill=_BODY)
    for leg in (x - half, x + half):
        pen.rectangle([leg - 0.12 * half, top, leg + 0.12 * half, rows], fill=_DARK)


def _pillar(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    side, wide = int(rng.choice([-1, 1])), rng.uniform(0.22, 0.34) * columns
    left = 0.0 if side < 0 else columns - wide
    pen.rectangle([left, 0, left + wide, rows], fill=_BODY)
    edge = left + wide if side < 0 else left
    pen.rectangle([edge - 0.03 * columns, 0, edge + 0.03 * columns, rows], fill=_DARK)


def _plant(pen: ImageDraw.ImageDraw, rng: np.random.Generator, rows: int, columns: int) -> None:
    x, top = rng.uniform(0.15, 0.85) * columns, rng.uniform(0.5, 0.6) * rows
    for _ in range(14):
        tip_x, tip_y = x + rng.normal(0, 0.22) * columns, top + rng.uniform(-0.06, 0.2) * rows
        pen.polygon([(x - 3, 0.84 * rows), (tip_x, tip_y), (x + 3, 0.84 * rows)], fill=_BODY)
    half = 0.12 * columns
    pen.polygon(
        [(x - half, 0.82 * rows), (x + half, 0.82 * rows), (x + 0.7 * half, rows), (x - 0.7 * half, rows)],
        fill=_DARK,
    )


OUTDOOR: tuple[Paint, ...] = (_hedge, _pole, _car, _bin, _railing)
INDOOR: tuple[Paint, ...] = (_desk, _chair, _pillar, _plant, _bin)
