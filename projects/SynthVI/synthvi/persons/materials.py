"""The parts of a painted person, and how each part looks in either modality.

A part has one color in visible light and one reflectance in near infrared. Both are drawn
independently, because a dye that is strong in visible light is usually transparent in near infrared.
So colors do not predict the infrared image, and infrared brightness does not predict the colors.
"""

import colorsys
import math
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np


class Part(IntEnum):
    """The part of a person that a pixel shows."""

    NOTHING = 0
    SKIN = 1
    HAIR = 2
    EYES = 3
    TOP = 4
    TOP_FIGURE = 5
    SLEEVE = 6
    COAT = 7
    COAT_FIGURE = 8
    BOTTOM = 9
    BOTTOM_FIGURE = 10
    SHOE = 11
    SOLE = 12
    BAG = 13
    BAG_FLAP = 14
    STRAP = 15
    HAT = 16
    HAT_BAND = 17
    LOGO = 18
    SCARF = 19


FLAT, FAR, CREASE, LIT = range(4)  # a label is 4 * part + shade
SHADES = (1.0, 0.74, 0.52, 1.18)
_SOFT_SHADES = (1.0, 0.82, 0.72, 1.1)
_NATURAL = (Part.NOTHING, Part.SKIN, Part.HAIR, Part.EYES)  # parts that are no garments


@dataclass(frozen=True)
class Materials:
    """The look of each part.

    Attributes:
        visible: (20, 3) float64 RGB, 0..1, indexed by ``Part``.
        infrared: (20,) float64 reflectance, 0..1, indexed by ``Part``.
        shades: brightness of the shades FLAT, FAR, CREASE and LIT, relative.
    """

    visible: np.ndarray
    infrared: np.ndarray
    shades: tuple[float, float, float, float] = SHADES

    def visible_palette(self) -> np.ndarray:
        """(256, 3) uint8: the color of each label in visible light."""
        return self._palette(self.visible)

    def infrared_palette(self) -> np.ndarray:
        """(256, 1) uint8: the brightness of each label in infrared light."""
        return self._palette(self.infrared[:, None])

    def with_parts(self, other: "Materials", parts: list[Part]) -> "Materials":
        """These materials, but another person's in some parts."""
        visible, infrared = self.visible.copy(), self.infrared.copy()
        visible[parts], infrared[parts] = other.visible[parts], other.infrared[parts]
        return replace(self, visible=visible, infrared=infrared)

    def muted(self) -> "Materials":
        """The same materials in the colors of a street, with softer shades; infrared stays."""
        visible = self.visible.copy()
        for part in Part:
            if part not in _NATURAL:
                visible[part] = _mute(visible[part])
        return replace(self, visible=visible, shades=_SOFT_SHADES)

    def _palette(self, table: np.ndarray) -> np.ndarray:
        shaded = table[:, None, :] * np.array(self.shades)[None, :, None] * 235.0
        palette = np.zeros((256, table.shape[1]), dtype=np.uint8)
        palette[: shaded.shape[0] * 4] = np.clip(np.rint(shaded), 0, 255).reshape(-1, table.shape[1])
        return palette


def _mute(color: np.ndarray) -> np.ndarray:
    """A garment's color as it is common on a street: blue and red stay strongest, other hues fade."""
    hue, saturation, value = colorsys.rgb_to_hsv(*color)
    blue, red = math.exp(-(((hue - 0.62) / 0.12) ** 2)), math.exp(-((min(hue, 1 - hue) / 0.07) ** 2))
    saturation *= 0.22 + 0.5 * max(blue, red)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, 0.08 + 0.72 * value**1.25))


def _color(rng: np.random.Generator) -> np.ndarray:
    """A garment's visible color: three in four are saturated, the rest black, gray or white."""
    if rng.random() < 0.75:
        rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.45, 0.9), rng.uniform(0.35, 0.9))
        return np.array(rgb)
    return np.full(3, rng.choice([0.1, 0.22, 0.5, 0.75, 0.95])) + rng.uniform(-0.03, 0.03, 3)


def _color_unlike(rng: np.random.Generator, others: list[np.ndarray]) -> np.ndarray:
    """Draw eight colors and return the one that is farthest from all others."""
    candidates = [_color(rng) for _ in range(8)]
    return max(candidates, key=lambda color: min(float(np.abs(color - other).sum()) for other in others))


def _reflectance_unlike(rng: np.random.Generator, other: float, contrast: float) -> float:
    """A reflectance in 0.1..0.95 that differs from ``other`` by ``contrast`` or more."""
    below, above = max(other - contrast - 0.1, 0.0), max(0.95 - other - contrast, 0.0)
    place = rng.random() * (below + above)
    return 0.1 + place if place < below else other + contrast + (place - below)


def sample_materials(rng: np.random.Generator, raglan: bool) -> Materials:
    """Draw one person's materials.

    Args:
        rng: the person's own generator.
        raglan: the sleeves have the look of the top's second tone, not of its first.
    """
    visible = np.zeros((len(Part), 3))
    tone = rng.random()
    visible[Part.SKIN] = (1 - tone) * np.array([0.95, 0.76, 0.64]) + tone * np.array([0.42, 0.27, 0.19])
    hair = [(0.08, 0.07, 0.06), (0.25, 0.16, 0.09), (0.45, 0.3, 0.15), (0.8, 0.66, 0.36), (0.55, 0.55, 0.56)]
    visible[Part.HAIR] = hair[rng.choice(len(hair), p=[0.4, 0.25, 0.15, 0.1, 0.1])]
    visible[Part.EYES] = 0.06
    chosen: list[np.ndarray] = []
    for part in (Part.TOP, Part.BOTTOM, Part.COAT, Part.BAG, Part.HAT, Part.SHOE, Part.SCARF):
        chosen.append(_color_unlike(rng, chosen[-2:]) if chosen else _color(rng))
        visible[part] = chosen[-1]
    for part, ground in (
        (Part.TOP_FIGURE, Part.TOP),
        (Part.COAT_FIGURE, Part.COAT),
        (Part.BOTTOM_FIGURE, Part.BOTTOM),
        (Part.HAT_BAND, Part.HAT),
    ):
        visible[part] = _color_unlike(rng, [visible[ground]])
    visible[Part.LOGO] = _color_unlike(rng, [visible[Part.TOP], visible[Part.TOP_FIGURE]])
    visible[Part.SLEEVE] = visible[Part.TOP_FIGURE if raglan else Part.TOP]
    visible[Part.STRAP] = visible[Part.BAG] * 0.8
    visible[Part.BAG_FLAP] = visible[Part.BAG] * 0.6 + 0.25
    visible[Part.SOLE] = rng.choice([0.15, 0.9])

    infrared = np.zeros(len(Part))
    infrared[Part.SKIN] = rng.uniform(0.82, 0.92)
    infrared[Part.HAIR] = rng.uniform(0.28, 0.5)
    infrared[Part.EYES] = 0.12
    infrared[Part.TOP] = rng.uniform(0.15, 0.9)
    infrared[Part.BOTTOM] = _reflectance_unlike(rng, infrared[Part.TOP], 0.15)
    infrared[Part.COAT] = _reflectance_unlike(rng, infrared[Part.TOP], 0.3)
    for part, ground, contrast in (
        (Part.TOP_FIGURE, Part.TOP, 0.3),
        (Part.COAT_FIGURE, Part.COAT, 0.3),
        (Part.BOTTOM_FIGURE, Part.BOTTOM, 0.3),
        (Part.LOGO, Part.TOP, 0.3),
        (Part.BAG, Part.TOP, 0.3),
        (Part.HAT, Part.SKIN, 0.2),
        (Part.HAT_BAND, Part.HAT, 0.3),
        (Part.SHOE, Part.BOTTOM, 0.2),
        (Part.SCARF, Part.TOP, 0.3),
    ):
        infrared[part] = _reflectance_unlike(rng, infrared[ground], contrast)
    infrared[Part.SLEEVE] = infrared[Part.TOP_FIGURE if raglan else Part.TOP]
    infrared[Part.STRAP] = infrared[Part.BAG]
    infrared[Part.BAG_FLAP] = _reflectance_unlike(rng, infrared[Part.BAG], 0.2)
    infrared[Part.SOLE] = rng.uniform(0.2, 0.9)
    return Materials(visible.clip(0, 1), infrared.clip(0, 1))
