"""Backgrounds: what a camera sees of its place."""

import colorsys

import numpy as np
from PIL import Image, ImageFilter

from synthvi.camera import Camera
from synthvi.conditions import PLAIN_CONDITIONS, Conditions
from synthvi.scenery import LEAVES, MATERIALS, draw_shapes

PANORAMA = 3  # a background is this many images wide


def background(
    camera: Camera,
    shape_rng: np.random.Generator,
    look_rng: np.random.Generator,
    height: int,
    width: int,
    conditions: Conditions = PLAIN_CONDITIONS,
) -> np.ndarray:
    """Draw a place without people, as a camera sees it.

    Args:
        shape_rng: decides the shapes; the same state for all cameras of a place.
        look_rng: decides how the shapes look to this camera.
        height, width: of an image in pixels.
        conditions: decide saturation and texture.

    Returns:
        (height, PANORAMA * width, 3) float32, 0..255; three equal channels for an infrared camera.
    """
    wide = PANORAMA * width
    labels, horizon = draw_shapes(shape_rng, camera.outdoor, height, wide)
    table = _infrared_look(look_rng, camera.outdoor) if camera.infrared else _visible_look(look_rng)
    if conditions.muted and not camera.infrared:
        table = _mute(table)
    image = Image.fromarray(table[np.asarray(labels)])
    image = image.resize((wide, height), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(height / 160))
    view = np.array(image, dtype=np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None] / height
    depth = np.where(rows > horizon, 0.8 + 0.3 * (rows - horizon) / (1 - horizon), 1.0 - 0.2 * rows / horizon)
    view *= (depth * (1 + 0.08 * _clouds(look_rng, height, wide)))[..., None]
    if conditions.texture:
        leaves = np.asarray(labels.resize((wide, height), Image.Resampling.NEAREST)) == LEAVES
        strength = np.where(leaves, conditions.texture, conditions.texture / 6).astype(np.float32)
        view *= np.maximum(0.2, 1 + strength * _texture(look_rng, height, wide))[..., None]
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


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Fine noise of unit variance at two scales, (height, width) float32."""
    total = np.zeros((height, width), dtype=np.float32)
    for size, weight in ((0.03, 1.0), (0.012, 0.7)):  # of a grain, as a share of the height
        rows = max(4, round(1 / size))
        grid = rng.standard_normal((rows, max(4, rows * width // height))).astype(np.float32)
        total += weight * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return total / np.float32(total.std())


def _mute(table: np.ndarray) -> np.ndarray:
    """Colors with less than half of their saturation, (256, 3) uint8."""
    gray = table.mean(axis=1, keepdims=True)
    return np.rint(gray + 0.45 * (table - gray)).astype(np.uint8)


def _visible_look(rng: np.random.Generator) -> np.ndarray:
    table = np.zeros((256, 3))
    for label in range(MATERIALS):
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
    table[:MATERIALS] = rng.uniform(0.2, 0.7, MATERIALS)
    table[2] = table[1] * 0.88
    table[20] = rng.uniform(0.08, 0.2)
    table[21] = 0.05 if outdoor else 0.12  # night sky, dark windows
    table[22] = rng.uniform(0.75, 0.95)  # leaves shine in near infrared
    return np.repeat(np.clip(table * 255, 0, 255).astype(np.uint8)[:, None], 3, axis=1)
