"""Who a generated person is: body, garments, accessories and gait, the same in every image.

Lengths are in body heights. Few persons wear plain garments alone: across modalities a person is
recognized by what both modalities show, which is shape, cut, pattern and accessories.
"""

from dataclasses import dataclass

import numpy as np

from synthvi.persons.materials import Materials, sample_materials

PATTERNS = (
    "plain",
    "hoops",
    "pinstripes",
    "checks",
    "dots",
    "diagonal",
    "yoke",
    "halves",
    "chest_band",
    "diamonds",
    "blobs",
    "placket",
    "hem",
)
PATTERN_ODDS = (0.15, 0.11, 0.09, 0.08, 0.08, 0.08, 0.07, 0.08, 0.07, 0.06, 0.05, 0.04, 0.04)
COAT_PATTERNS = ("plain", "hoops", "checks", "hem", "halves")
BOTTOM_PATTERNS = ("plain", "side_stripe", "checks", "hoops", "cuffs", "pinstripes")
HAIR_STYLES = ("short", "bald", "long", "bun", "ponytail", "afro", "bob")
HATS = ("none", "cap", "beanie", "brim", "hood")
BAGS = ("none", "backpack", "cross_left", "cross_right", "handbag_left", "handbag_right", "tote_left")
ARMS = ("swing", "pockets", "phone_left", "phone_right", "crossed_back")
LOGOS = ("none", "disc", "square", "triangle", "cross", "bar", "ring")


@dataclass(frozen=True)
class Pattern:
    """A print of two tones.

    Attributes:
        kind: one of ``PATTERNS`` or ``BOTTOM_PATTERNS``.
        period: body heights.
        duty: share of the second tone, 0..1.
        phase: shift in periods, 0..1.
    """

    kind: str
    period: float = 0.08
    duty: float = 0.5
    phase: float = 0.0


@dataclass(frozen=True)
class Body:
    """Proportions. Half widths and radii in body heights."""

    shoulder: float
    waist: float
    hip: float
    depth: float  # front to back, as a share of the width
    limb: float  # radius of the upper arm
    thigh: float
    head: float
    leg_length: float
    arm_length: float


@dataclass(frozen=True)
class Gait:
    """How a person walks. Angles in radians."""

    stride: float
    arm_swing: float
    elbow: float
    stance: float  # half the distance of the feet
    lean: float
    arms: str
    loaded: int  # the side of the hand that carries a bag: -1 right, 1 left, 0 none


@dataclass(frozen=True)
class Identity:
    """What makes a person recognizable; every image of the person is painted from this."""

    body: Body
    gait: Gait
    materials: Materials
    gender: str  # only a word in RegDB's file names
    facing: str  # "front" or "back": what RegDB shows of the person
    hair: str
    hat: str
    glasses: bool
    top: Pattern
    sleeve: float  # share of the arm that is covered
    raglan: bool
    top_length: float  # how far the top hangs below the hips
    logo: str
    logo_place: tuple[float, float]  # angle around the chest, height below the shoulders
    logo_size: float
    coat: bool
    coat_length: float
    coat_opening: float  # half angle; 0 is a closed coat
    coat_pattern: Pattern
    bottom: str  # "trousers", "shorts", "skirt"
    bottom_pattern: Pattern
    bottom_length: float
    flare: float
    boots: float
    scarf: bool
    bag: str
    bag_size: float


def _pick(rng: np.random.Generator, names: tuple[str, ...], odds: tuple[float, ...] | None = None) -> str:
    return names[int(rng.choice(len(names), p=odds))]


def _pattern(
    rng: np.random.Generator, names: tuple[str, ...], odds: tuple[float, ...] | None = None
) -> Pattern:
    kind = _pick(rng, names, odds)
    return Pattern(kind, rng.uniform(0.055, 0.12), rng.uniform(0.35, 0.6), rng.random())


def sample_body(rng: np.random.Generator, female: bool) -> Body:
    """Draw proportions. The build, a factor of 0.82..1.32, widens all of the body."""
    build = rng.uniform(0.82, 1.32)
    return Body(
        shoulder=build * (rng.uniform(0.098, 0.113) if female else rng.uniform(0.108, 0.13)),
        waist=build * rng.uniform(0.07, 0.098),
        hip=build * (rng.uniform(0.09, 0.108) if female else rng.uniform(0.08, 0.095)),
        depth=rng.uniform(0.55, 0.75),
        limb=rng.uniform(0.026, 0.032) * build**0.8,
        thigh=rng.uniform(0.044, 0.054) * build**0.8,
        head=rng.uniform(0.058, 0.072),
        leg_length=rng.uniform(0.455, 0.52),
        arm_length=rng.uniform(0.31, 0.36),
    )


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draw a person.

    Args:
        rng: the person's own generator; the same state gives the same person.
    """
    female = bool(rng.random() < 0.5)
    bottom = _pick(rng, ("trousers", "shorts", "skirt"), (0.55, 0.22, 0.23) if female else (0.7, 0.3, 0.0))
    raglan = bool(rng.random() < 0.35)
    coat = bool(rng.random() < 0.35)
    bag = _pick(rng, BAGS, (0.34, 0.18, 0.11, 0.11, 0.09, 0.09, 0.08))
    return Identity(
        body=sample_body(rng, female),
        gait=Gait(
            stride=rng.uniform(0.15, 0.5),
            arm_swing=rng.uniform(0.1, 0.5),
            elbow=rng.uniform(0.05, 0.6),
            stance=rng.uniform(0.035, 0.075),
            lean=rng.uniform(-0.02, 0.05),
            arms=_pick(rng, ARMS, (0.56, 0.14, 0.1, 0.1, 0.1)),
            loaded={"handbag_left": 1, "handbag_right": -1}.get(bag, 0),
        ),
        materials=sample_materials(rng, raglan),
        gender="female" if female else "male",
        facing="front" if rng.random() < 0.4 else "back",
        hair=_pick(
            rng,
            HAIR_STYLES,
            (0.05, 0.0, 0.4, 0.15, 0.2, 0.05, 0.15) if female else (0.6, 0.17, 0.08, 0.02, 0.03, 0.1, 0.0),
        ),
        hat=_pick(rng, HATS, (0.6, 0.12, 0.1, 0.08, 0.1)),
        glasses=bool(rng.random() < 0.2),
        top=_pattern(rng, PATTERNS, PATTERN_ODDS),
        sleeve=float(rng.choice([0.0, 0.3, 0.5, 0.95], p=[0.12, 0.33, 0.1, 0.45])),
        raglan=raglan,
        top_length=rng.uniform(-0.04, 0.1),
        logo=_pick(rng, LOGOS, (0.46, 0.1, 0.09, 0.09, 0.09, 0.09, 0.08)),
        logo_place=(rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.2)),
        logo_size=rng.uniform(0.025, 0.048),
        coat=coat,
        coat_length=rng.uniform(0.05, 0.3),
        coat_opening=float(rng.choice([0.0, 0.35, 0.65], p=[0.3, 0.35, 0.35])),
        coat_pattern=_pattern(rng, COAT_PATTERNS, (0.4, 0.2, 0.15, 0.15, 0.1)),
        bottom=bottom,
        bottom_pattern=_pattern(rng, BOTTOM_PATTERNS, (0.5, 0.17, 0.1, 0.06, 0.11, 0.06)),
        bottom_length=rng.uniform(0.35, 0.75) if bottom != "trousers" else 1.0,
        flare=rng.uniform(0.75, 1.7),
        boots=float(rng.choice([0.0, 0.2, 0.42], p=[0.65, 0.2, 0.15])),
        scarf=bool(rng.random() < 0.15),
        bag=bag,
        bag_size=rng.uniform(0.8, 1.35),
    )


def person_of(seed: int, pid: int) -> Identity:
    """The person with the number ``pid`` in every dataset of a seed."""
    return sample_identity(np.random.default_rng([seed, 21, pid]))
