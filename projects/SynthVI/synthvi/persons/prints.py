"""Prints a garment's two-tone pattern on the label map, wrapped around the trunk."""

import math

import numpy as np

from synthvi.persons.materials import Part
from synthvi.persons.person import Body, Pattern
from synthvi.persons.pose import View


def _share(values: np.ndarray) -> np.ndarray:
    return values - np.floor(values)


def figure(pattern: Pattern, across: np.ndarray, below: np.ndarray, angle: np.ndarray) -> np.ndarray | None:
    """The area of the second tone.

    Args:
        pattern: the print.
        across: (1, W) arc length around the trunk from its front, body heights.
        below: (H, 1) height below the shoulders, body heights.
        angle: (1, W) angle around the trunk, radians.

    Returns:
        (H, W), (H, 1) or (1, W) bool; None for a garment of one tone.
    """
    kind, period, duty, phase = pattern.kind, pattern.period, pattern.duty, pattern.phase
    u, v = across / period + phase, below / period + phase
    if kind == "hoops":
        return _share(v) < duty
    if kind == "pinstripes":
        return _share(u) < duty
    if kind == "checks":
        return (_share(u) < 0.5) ^ (_share(v) < 0.5)
    if kind == "dots":
        shifted = _share(u + 0.5 * (np.floor(v) % 2))
        return (shifted - 0.5) ** 2 + (_share(v) - 0.5) ** 2 < 0.13
    if kind == "diagonal":
        return _share(0.75 * (u + v)) < duty
    if kind == "yoke":
        return below < 0.08 + 0.1 * phase
    if kind == "halves":
        return np.sin(angle + 0.9 * (phase - 0.5)) > 0
    if kind == "chest_band":
        return np.abs(below - 0.1 - 0.08 * phase) < 0.02 + 0.04 * duty
    if kind == "diamonds":
        return np.abs(_share(0.8 * u) - 0.5) + np.abs(_share(0.6 * v) - 0.5) < 0.42
    if kind == "blobs":
        return np.sin(3.1 * u + 2.0 * np.sin(2.3 * v)) + np.sin(3.7 * v + 1.7 * np.sin(2.9 * u + phase)) > 0.2
    if kind == "placket":
        return np.abs(across) < 0.015 + 0.02 * duty
    if kind == "hem":
        return below > 0.24 + 0.1 * phase
    return None


def apply_print(
    labels: np.ndarray,
    view: View,
    collar: tuple[float, float],
    body: Body,
    ground: Part,
    tone: Part,
    pattern: Pattern,
) -> None:
    """Replace ``ground`` by ``tone`` in the area of the pattern's second tone, in place.

    Args:
        labels: (H, W) uint8 label map.
        view: the camera, in pixels of the map.
        collar: column and row of the trunk's top.
        body: of the person.
    """
    column, row = collar
    height, width = labels.shape
    radius = view.scale * body.shoulder * view.half_width(1.0, body.depth)
    x = (np.arange(width, dtype=np.float32)[None] - column) / radius
    angle = np.arcsin(np.clip(x, -1, 1)) + np.sign(x) * np.maximum(np.abs(x) - 1, 0) - view.yaw
    angle = angle - 2 * math.pi * np.round(angle / (2 * math.pi))
    below = (np.arange(height, dtype=np.float32)[:, None] - row) / view.scale
    mask = figure(pattern, angle * body.shoulder, below, angle)
    if mask is not None:
        labels += np.uint8(4 * (tone - ground)) * (((labels >> 2) == ground) & mask)
