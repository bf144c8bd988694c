"""Cameras: where they look from, their light and their sensor."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        infrared: a near-infrared camera at night with a lamp beside it, else a color camera by day.
        place: number of the place it watches; cameras of one place share the background's shapes.
        outdoor: whether the place is outdoors.
        yaw, yaw_spread: mean and standard deviation of a person's turn from the camera, radians.
        pitch: how far it looks down, radians.
        fill: a person's height as a share of the image's.
        light: color of the light, RGB factors around 1.
        gain, gain_spread: strength of the light, a factor, and its relative standard deviation.
        side: light from one side, -1 (left) to 1 (right).
        noise: standard deviation in gray levels of 0..255.
        blur: radius in thousandths of the image's height.
        falloff: share of the light that is lost far from the image's center, 0..1.
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
    """Draw a camera's viewpoint, light and sensor.

    Args:
        rng: the camera's own generator.
        infrared, place, outdoor: as in ``Camera``.
    """
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
