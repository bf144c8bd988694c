"""Paints the trunk: top, coat, scarf and logo."""

import math

from synthvi.persons.canvas import Canvas, Level, Pixel, label
from synthvi.persons.materials import CREASE, FAR, Part
from synthvi.persons.person import Identity
from synthvi.persons.pose import Point, Skeleton

_TOP, _COAT, _SCARF = 0.04, 0.045, 0.05  # nearness of each, the same for every yaw


def chest_point(person: Identity, joints: Skeleton, angle: float, below: float) -> Point:
    """A point on the chest.

    Args:
        angle: around the trunk from its front, radians; positive to the person's left.
        below: height below the shoulders, body heights.
    """
    across = 0.93 * person.body.shoulder
    along = across * person.body.depth
    height = joints.shoulder_height - below
    return across * math.sin(angle), height, person.gait.lean + along * math.cos(angle)


def paint_trunk(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    """Paint the neck, the top, the logo, the coat and the scarf."""
    top, lean = joints.shoulder_height, person.gait.lean
    facing = math.cos(canvas.view.yaw) > 0
    canvas.ellipse(canvas.place((0.0, top + 0.02, lean)), 0.036, 0.055, label(Part.SKIN, FAR), 0.035)
    hem = joints.hip_height - person.top_length
    canvas.tube(_levels(person, joints, hem, slack=1.03), label(Part.TOP), _TOP)
    if facing:
        neckline = canvas.place(chest_point(person, joints, 0.0, -0.01))
        canvas.ellipse(neckline, 0.03, 0.022, label(Part.SKIN), _TOP + 0.001)
        _logo(canvas, person, joints)
    if person.coat:
        _coat(canvas, person, joints, facing)
    if person.scarf:
        _scarf(canvas, person, joints, facing)


def _levels(person: Identity, joints: Skeleton, hem: float, slack: float) -> list[Level]:
    """The trunk's outline from the neck to the hem; slack is the garment's width over the body's."""
    body, top, hip = person.body, joints.shoulder_height, joints.hip_height
    profile = [
        (top + 0.03, 0.036, 0.034),
        (top + 0.012, 0.6 * body.shoulder, 0.04),
        (top - 0.012, 0.97 * body.shoulder, 0.75 * body.shoulder * body.depth),
        (top - 0.1, 0.92 * body.shoulder, body.shoulder * body.depth),
        (0.45 * top + 0.55 * hip, body.waist, body.waist * 0.9 * body.depth + 0.01),
    ]
    if hem < hip:
        profile.append((hip, body.hip, body.hip * 0.8))
        profile.append((hem, body.hip * (1.0 + 0.5 * (hip - hem)), body.hip * 0.85))
    else:
        profile.append((hem, body.hip, body.hip * 0.8))
    lean = person.gait.lean / (top - hip)
    return [(y, w * slack, d * slack, lean * (y - hip)) for y, w, d in profile]


def _coat(canvas: Canvas, person: Identity, joints: Skeleton, facing: bool) -> None:
    hem = joints.hip_height - person.coat_length
    levels = _levels(person, joints, hem, slack=1.14)
    if facing and person.coat_opening > 0:
        for side in (-1, 1):
            canvas.polygon(_open_half(canvas, levels, side, person.coat_opening), label(Part.COAT), _COAT)
        return
    canvas.tube(levels, label(Part.COAT), _COAT)
    if facing:  # the closed front's seam
        bottom = joints.shoulder_height - joints.hip_height
        seam = [canvas.place(chest_point(person, joints, 0.0, below)) for below in (0.0, bottom)]
        canvas.ribbon(seam, 0.006, label(Part.COAT, CREASE), _COAT + 0.001)


def _open_half(canvas: Canvas, levels: list[Level], side: int, opening: float) -> list[Pixel]:
    """One half of an open coat, from the silhouette to its edge at an angle around the trunk."""
    outer, inner = [], []
    for level in levels:
        height, across, along, lean = level
        (column, row), half = canvas.outline(level)
        edge = canvas.place((across * math.sin(side * opening), height, lean + along * math.cos(opening)))[0]
        outer.append((column + side * half, row))
        inner.append((min(max(edge, column - half), column + half), row))
    return outer + inner[::-1]


def _scarf(canvas: Canvas, person: Identity, joints: Skeleton, facing: bool) -> None:
    neck = canvas.place((0.0, joints.shoulder_height + 0.02, person.gait.lean))
    canvas.ellipse(neck, 0.06, 0.026, label(Part.SCARF), _SCARF)
    if facing:
        end = canvas.place(chest_point(person, joints, 0.25, 0.16))
        canvas.ribbon([(neck[0] + 0.02 * canvas.view.scale, neck[1]), end], 0.02, label(Part.SCARF), _SCARF)


def _logo(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    angle, below = person.logo_place
    turned = math.cos(angle + canvas.view.yaw)
    if person.logo == "none" or turned < 0.25:
        return
    column, row = canvas.place(chest_point(person, joints, angle, below))
    size, scale, fill, near = person.logo_size, canvas.view.scale, label(Part.LOGO), _TOP + 0.002

    def box(half_width: float, half_height: float) -> None:
        canvas.taper((column, row), half_width * turned, half_width * turned, 2 * half_height, fill, near)

    if person.logo in ("disc", "ring"):
        canvas.ellipse((column, row), size * turned, size, fill, near)
        if person.logo == "ring":
            canvas.ellipse((column, row), 0.5 * size * turned, 0.5 * size, label(Part.TOP), near)
    elif person.logo == "square":
        box(size, size)
    elif person.logo == "bar":
        box(2 * size, 0.5 * size)
    elif person.logo == "cross":
        box(1.2 * size, 0.35 * size)
        box(0.35 * size, 1.2 * size)
    else:
        half, tall = 1.2 * size * turned * scale, size * scale
        corners = [(column, row - 1.2 * tall), (column + half, row + tall), (column - half, row + tall)]
        canvas.polygon(corners, fill, near)
