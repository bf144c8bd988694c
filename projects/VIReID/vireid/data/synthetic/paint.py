"""Paints a person as a map of labels (part and shade, see materials.py), without any color."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .bags import paint_bag
from .canvas import Canvas
from .head import paint_head
from .limbs import paint_arms, paint_legs
from .materials import Part
from .person import Identity
from .pose import View, skeleton
from .prints import apply_print
from .trunk import paint_trunk


def paint(person: Identity, phase: float, view: View, height: int, width: int) -> Image.Image:
    """The label map of a person, an "L" image of width x height, 0 where there is no person.

    Args:
        phase: the moment of the walk, radians.
        view: the camera, in pixels of this map.
    """
    joints = skeleton(person.body, person.gait, phase)
    canvas = Canvas(view)
    for paint_part in (paint_legs, paint_trunk, paint_arms, paint_head, paint_bag):
        paint_part(canvas, person, joints)
    labels = np.array(canvas.draw(height, width))
    collar = canvas.place((0.0, joints.shoulder_height, person.gait.lean))
    apply_print(labels, view, collar, person.body, Part.TOP, Part.TOP_FIGURE, person.top)
    apply_print(labels, view, collar, person.body, Part.BOTTOM, Part.BOTTOM_FIGURE, person.bottom_pattern)
    if person.coat:
        apply_print(labels, view, collar, person.body, Part.COAT, Part.COAT_FIGURE, person.coat_pattern)
    return Image.fromarray(labels)
