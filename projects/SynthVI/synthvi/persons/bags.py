"""Paints bags: backpack, shoulder bag worn across, handbag, tote."""

import math

from synthvi.persons.canvas import Canvas, label
from synthvi.persons.materials import CREASE, LIT, Part
from synthvi.persons.person import Identity
from synthvi.persons.pose import Point, Skeleton
from synthvi.persons.trunk import chest_point

_STRAP = 0.011  # half width
_OVER_COAT = 0.048  # how near a strap over the trunk is


def paint_bag(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    """Paint the bag and its straps; nothing for a person without a bag."""
    body, size = person.body, person.bag_size
    kind, _, place = person.bag.partition("_")
    side = 1 if place == "left" else -1
    strap = label(Part.STRAP, LIT)
    if kind == "backpack":
        behind = (0.0, joints.shoulder_height - 0.15, -body.shoulder * body.depth - 0.04)
        _box(canvas, behind, 0.112 * size, 0.055 * size, 0.3 * size)
        if math.cos(canvas.view.yaw) > 0:
            for angle in (-0.62, 0.62):
                if math.cos(angle + canvas.view.yaw) > 0.2:
                    places = [chest_point(person, joints, angle, below) for below in (-0.015, 0.08, 0.17)]
                    canvas.ribbon([canvas.place(point) for point in places], _STRAP, strap, _OVER_COAT)
    elif kind == "cross":
        hip = (side * (body.hip + 0.045), joints.hip_height + 0.01, 0.02)
        _box(canvas, hip, 0.055 * size, 0.06 * size, 0.115 * size)
        course = ((-0.7, -0.01), (-0.1, 0.12), (0.7, 0.24), (1.2, 0.32))
        places = [chest_point(person, joints, side * angle, below) for angle, below in course]
        canvas.ribbon([canvas.place(point) for point in places], _STRAP, strap, _OVER_COAT)
    elif kind == "tote":
        shoulder = joints.shoulders[side > 0]
        center = (shoulder[0] + side * 0.04, shoulder[1] - 0.27, 0.0)
        _box(canvas, center, 0.06 * size, 0.09 * size, 0.2 * size)
        canvas.ribbon([canvas.place(shoulder), canvas.place(center)], _STRAP, strap, 0.13)
    elif kind == "handbag":
        wrist = joints.wrists[side > 0]
        center = (wrist[0] + side * 0.015, wrist[1] - 0.02 - 0.075 * size, wrist[2])
        _box(canvas, center, 0.055 * size, 0.08 * size, 0.13 * size)
        canvas.ribbon([canvas.place(wrist), canvas.place(center)], _STRAP, strap, 0.1)


def _box(canvas: Canvas, center: Point, across: float, along: float, height: float) -> None:
    """An outlined bag with a flap; half width, half depth and height in body heights."""
    column, row = canvas.place(center)
    near = canvas.near(center)
    near = near + 0.07 if near > -0.05 else near - 0.06  # before trunk and arms, or clearly behind
    half = canvas.view.half_width(across, along)
    canvas.taper((column, row), 0.88 * half, 1.1 * half, 1.1 * height, label(Part.BAG, CREASE), near)
    canvas.taper((column, row), 0.8 * half, half, height, label(Part.BAG), near)
    flap = (column, row - 0.24 * height * canvas.view.scale)
    canvas.taper(flap, 0.84 * half, 0.86 * half, 0.33 * height, label(Part.BAG_FLAP), near)
