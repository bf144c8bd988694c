"""Cameras and the places they watch: viewpoint, light, background."""

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

PANORAMA = 3  # a place's background is this many images wide
_MATERIALS = 24  # labels in a background: 0 upper half, 1 floor, 2 joints of the floor, the rest things


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        infrared: near-infrared night camera, else a color camera by day.
        place: what it watches; two cameras of one place share the background's shapes.
        yaw: which side of people it sees on average, radians; yaw_spread is the standard deviation.
        pitch: how far it looks down.
        fill: a person's height as a share of the image.
        light: color of the light; gain its strength, gain_spread the relative standard deviation.
        side: light from one side, -1 (left) to 1 (right).
        noise: standard deviation in gray levels.
        blur: radius in thousandths of the image height.
        falloff: how much of the light is lost at the image's corners, 0..1.
    """

    infrared: bool
    place: int
    outdoor: bool
    yaw: float
    yaw_spread: float
    pitch: float
    fill: float
    light: tuple[float, float, float]
    gain: float
    gain_spread: float
    side: float
    noise: float
    blur: float
    falloff: float


def sample_camera(rng: np.random.Generator, infrared: bool, place: int, outdoor: bool) -> Camera:
    """Draw a camera with a viewpoint and a light of its own."""
    warmth = rng.uniform(-0.08, 0.08)
    return Camera(
        infrared,
        place,
        outdoor,
        yaw=rng.uniform(-0.45, 0.45),
        yaw_spread=0.28,
        pitch=rng.uniform(0.0, 0.3),
        fill=rng.uniform(0.85, 0.9),
        light=(1.0, 1.0, 1.0) if infrared else (1.0 + warmth, 1.0 + rng.uniform(-0.03, 0.03), 1.0 - warmth),
        gain=rng.uniform(0.85, 1.05) if infrared else rng.uniform(0.8, 1.08),
        gain_spread=0.15 if infrared else 0.06,
        side=rng.uniform(-0.8, 0.8),
        noise=rng.uniform(7.0, 12.0) if infrared else rng.uniform(2.0, 5.0),
        blur=rng.uniform(1.5, 3.5) if infrared else rng.uniform(0.5, 2.0),
        falloff=rng.uniform(0.35, 0.6) if infrared else rng.uniform(0.0, 0.12),
    )


def background(
    camera: Camera, layout_rng: np.random.Generator, look_rng: np.random.Generator, height: int, width: int
) -> np.ndarray:
    """The view of a place without people.

    Args:
        layout_rng: decides the shapes, the same for all cameras of a place.
        look_rng: decides how they look to this camera.

    Returns:
        (height, PANORAMA * width, 3) float32, 0..255.
    """
    wide = PANORAMA * width
    labels, horizon = _shapes(layout_rng, camera.outdoor, height, wide)
    table = _infrared_look(look_rng, camera.outdoor) if camera.infrared else _visible_look(look_rng)
    image = Image.fromarray(table[np.asarray(labels)])
    image = image.resize((wide, height), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(height / 160))
    view = np.array(image, dtype=np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None] / height
    depth = np.where(rows > horizon, 0.8 + 0.3 * (rows - horizon) / (1 - horizon), 1.0 - 0.2 * rows / horizon)
    view *= (depth * (1 + 0.08 * _clouds(look_rng, height, wide)))[..., None]
    if camera.infrared:  # the lamp is at the camera: what is far away stays dark
        view *= np.where(rows > horizon, 0.75, 0.55)[..., None]
    return np.clip(view, 0, 255)


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth noise of unit variance at three scales, (height, width)."""
    total = np.zeros((height, width), dtype=np.float32)
    for cells, weight in ((3, 1.0), (9, 0.35), (height // 2, 0.2)):
        grid = rng.standard_normal((cells, max(2, cells * width // height))).astype(np.float32)
        total += weight * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return total / np.float32(total.std())


def _shapes(rng: np.random.Generator, outdoor: bool, height: int, width: int) -> tuple[Image.Image, float]:
    """(label map at twice the size, height of the horizon as a share of the image)."""
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


def _visible_look(rng: np.random.Generator) -> np.ndarray:
    table = np.zeros((256, 3))
    for label in range(_MATERIALS):
        value = rng.uniform(0.3, 0.85)
        table[label] = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.35), value)
    table[0] = colorsys.hsv_to_rgb(rng.uniform(0.05, 0.2), rng.uniform(0.0, 0.2), rng.uniform(0.6, 0.9))
    table[1] = colorsys.hsv_to_rgb(rng.uniform(0.0, 0.15), rng.uniform(0.0, 0.25), rng.uniform(0.35, 0.75))
    table[2] = table[1] * 0.85
    table[20] = rng.uniform(0.15, 0.35) * np.array([0.9, 1.0, 1.1])
    table[21] = np.array([0.72, 0.82, 0.95]) * rng.uniform(0.8, 1.0)
    table[22] = np.array([0.2, 0.42, 0.16]) * rng.uniform(0.7, 1.2)
    table[23] = (0.3, 0.22, 0.15)
    return np.clip(table * 255, 0, 255).astype(np.uint8)


def _infrared_look(rng: np.random.Generator, outdoor: bool) -> np.ndarray:
    table = np.zeros(256)
    table[:_MATERIALS] = rng.uniform(0.2, 0.7, _MATERIALS)
    table[2] = table[1] * 0.88
    table[20] = rng.uniform(0.08, 0.2)
    table[21] = 0.05 if outdoor else 0.12  # night sky, dark windows
    table[22] = rng.uniform(0.75, 0.95)  # leaves shine in near infrared
    return np.repeat(np.clip(table * 255, 0, 255).astype(np.uint8)[:, None], 3, axis=1)
