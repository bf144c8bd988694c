"""What is particular to one image: the box, the light, the detail, and what else is in sight."""

import math
from dataclasses import dataclass

import numpy as np

from synthvi.conditions import Conditions

STRANGERS = 200  # persons who are in no dataset
_CUT = 2.0  # standard deviations


@dataclass(frozen=True)
class Stranger:
    """Another person in the image.

    Attributes:
        number: which of the strangers, from 0.
        across: place beside the person, as a share of the image's width.
        size: relative to the person's.
        before: whether the stranger hides the person, or the person the stranger.
        yaw, phase: turn from the camera and moment of the walk, radians.
    """

    number: int
    across: float
    size: float
    before: bool
    yaw: float
    phase: float


@dataclass(frozen=True)
class Situation:
    """One image's own conditions.

    Attributes:
        turn: added to the person's turn from the camera, radians.
        shift: of the box, to the right and down, as shares of its width and height.
        zoom: size of the box relative to one that fits; above 1 the person is smaller in the image.
        light: share of the camera's own light, 0..1.
        tint: color of low light, RGB factors.
        captured_height: of the box in pixels, before it was enlarged; one above the image's has no effect.
        stranger: another person, or None.
        obstacle: seed of the thing before the person, or None.
    """

    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    light: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    captured_height: float = math.inf
    stranger: Stranger | None = None
    obstacle: int | None = None


PLAIN = Situation()


def cut_normal(rng: np.random.Generator, deviation: float) -> float:
    """A normal value of mean 0, cut at two standard deviations."""
    return deviation * float(np.clip(rng.standard_normal(), -_CUT, _CUT))


def log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A value between two limits above 0 whose logarithm is uniform."""
    low, high = limits
    return low * (high / low) ** rng.random()


def draw_situation(
    conditions: Conditions,
    rng: np.random.Generator,
    light: float = 1.0,
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0),
    captured_height: float = math.inf,
) -> Situation:
    """Draw one image's situation.

    Args:
        conditions: of the dataset.
        rng: a generator of the image's own.
        light, tint, captured_height: of the sighting.
    """
    turn = cut_normal(rng, conditions.turn) + math.pi * (rng.random() < conditions.from_behind)
    shift = cut_normal(rng, conditions.box_shift_across), cut_normal(rng, conditions.box_shift_down)
    zoom = math.exp(cut_normal(rng, conditions.box_zoom))
    stranger = Stranger(
        number=int(rng.integers(STRANGERS)),
        across=rng.uniform(0.34, 0.6) * rng.choice([-1, 1]),
        size=rng.uniform(0.9, 1.12),
        before=bool(rng.random() < 0.5),
        yaw=rng.uniform(-math.pi, math.pi),
        phase=rng.uniform(0, 2 * math.pi),
    )
    has_stranger = rng.random() < conditions.strangers
    obstacle = int(rng.integers(2**31))
    has_obstacle = rng.random() < conditions.obstacles
    return Situation(
        turn,
        shift,
        zoom,
        light,
        tint,
        captured_height,
        stranger if has_stranger else None,
        obstacle if has_obstacle else None,
    )
