"""A sighting: how a person walks and carries things, and the light, in the images by one camera."""

import math
from dataclasses import dataclass, replace

import numpy as np

from synthvi.camera import Camera
from synthvi.conditions import Conditions
from synthvi.persons.person import ARMS, Identity
from synthvi.situation import log_uniform

LAMPS = ((1.25, 1.0, 0.62), (1.08, 1.0, 0.85), (0.88, 1.0, 1.18))  # sodium, tungsten, moonlight or LED

# A bag may be carried in another way at another time; a kind keeps its size and look.
_OTHER_WAY = {"backpack": ("tote_left", "tote_right"), "tote": ("handbag_left", "handbag_right")}


@dataclass(frozen=True)
class Sighting:
    """All images of one identity by one camera.

    Attributes:
        person: with the posture and the carried position of this time.
        light, tint, captured_height: as in ``Situation``.
    """

    person: Identity
    light: float
    tint: tuple[float, float, float]
    captured_height: float


def draw_sighting(
    person: Identity, camera: Camera, conditions: Conditions, rng: np.random.Generator
) -> Sighting:
    """Draw one sighting.

    Args:
        person: as in every image.
        camera: that sees the person.
        conditions: of the dataset.
        rng: the generator of this identity and camera.
    """
    limits = conditions.infrared_light if camera.infrared else conditions.visible_light
    light = log_uniform(rng, limits)
    tint = LAMPS[int(rng.integers(len(LAMPS)))]
    dark = rng.random() < conditions.low_light
    captured = log_uniform(rng, conditions.captured_height) if conditions.captured_height else math.inf
    if conditions.other_moments:
        person = at_other_moment(person, rng)
    return Sighting(
        person,
        light if dark else 1.0,
        tint if dark else (1.0, 1.0, 1.0),
        captured,
    )


def at_other_moment(person: Identity, rng: np.random.Generator) -> Identity:
    """The same person at another time: other posture and pace, and the bag in another place.

    Body, garments, hair and what is carried stay. A hood may be down, a coat may be open or closed.
    """
    bag = other_carrying(person.bag, rng)
    gait = replace(
        person.gait,
        stride=person.gait.stride * rng.uniform(0.7, 1.2),
        arm_swing=person.gait.arm_swing * rng.uniform(0.6, 1.4),
        elbow=person.gait.elbow * rng.uniform(0.5, 1.5),
        arms=ARMS[int(rng.choice(len(ARMS), p=(0.56, 0.14, 0.1, 0.1, 0.1)))],
        loaded={"handbag_left": 1, "handbag_right": -1}.get(bag, 0),
    )
    opening = float(rng.choice([0.0, 0.35, 0.65]))
    change_coat, hood_down = rng.random() < 0.3, rng.random() < 0.4
    return replace(
        person,
        gait=gait,
        bag=bag,
        coat_opening=opening if change_coat else person.coat_opening,
        hat="none" if person.hat == "hood" and hood_down else person.hat,
    )


def other_carrying(bag: str, rng: np.random.Generator) -> str:
    """Another way to carry a bag: on the other side in half of the cases, or in the hand in a fifth."""
    kind, _, side = bag.partition("_")
    change, swap = rng.random(), rng.random() < 0.5
    if change < 0.2 and kind in _OTHER_WAY:
        return _OTHER_WAY[kind][int(swap)]
    if side and swap:
        return f"{kind}_{'left' if side == 'right' else 'right'}"
    return bag
