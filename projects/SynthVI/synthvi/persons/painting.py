"""Paints a person as a map of labels (part and shade, see materials.py)."""

import numpy as np
from PIL import Image

from synthvi.persons.bags import paint_bag
from synthvi.persons.canvas import Canvas
from synthvi.persons.head import paint_head
from synthvi.persons.limbs import paint_arms, paint_legs
from synthvi.persons.materials import Part
from synthvi.persons.person import Identity
from synthvi.persons.pose import View, skeleton
from synthvi.persons.prints import apply_print
from synthvi.persons.trunk import paint_trunk


def paint(person: Identity, phase: float, view: View, height: int, width: int) -> Image.Image:
    """The label map of a person: mode "L", height x width pixels, 0 for no person.

    Args:
        phase: the moment of the walk, radians; a step of each leg is 2 pi.
        view: the camera, in pixels of the map.
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
