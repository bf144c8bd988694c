"""Paints the head: hair, face, glasses and hat."""

import math

from synthvi.persons.canvas import Canvas, label
from synthvi.persons.materials import CREASE, Part
from synthvi.persons.person import Identity
from synthvi.persons.pose import Skeleton

_HEAD = 0.06  # nearness of the head; hair, face and hat are slightly nearer


def paint_head(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    """Paint the head, from behind for a person who walks away."""
    front = math.cos(canvas.view.yaw) > 0
    size = person.body.head
    _hair(canvas, person, joints, front)
    skull = Part.SKIN if front or person.hair == "bald" else Part.HAIR
    canvas.ellipse(canvas.place(joints.head), 0.92 * size, 1.2 * size, label(skull), _HEAD)
    if front:
        _face(canvas, person, joints)
    if person.hat == "hood":
        x, y, z = joints.head
        hood = label(Part.COAT if person.coat else Part.TOP)
        # from behind it covers head and hair, from the front it frames the face
        near = _HEAD + (0.0005 if front else 0.035)
        canvas.ellipse(canvas.place((x, y, z - 0.03)), 1.32 * size, 1.5 * size, hood, near)
    elif person.hat != "none":
        _hat(canvas, person, joints, front)


def _hair(canvas: Canvas, person: Identity, joints: Skeleton, front: bool) -> None:
    (x, y, z), size, fill = joints.head, person.body.head, label(Part.HAIR)
    hanging = 0.03 if front else 0.09  # behind the trunk, or down the back before it
    if person.hair in ("long", "bob"):
        length = 0.2 if person.hair == "long" else 0.1
        middle = canvas.place((x, y - 0.5 * length, z - 0.03))
        canvas.ellipse(middle, 1.12 * size, 0.5 * length + size, fill, hanging)
    elif person.hair == "ponytail":
        canvas.limb((x, y + 0.02, z - 0.06), (x, y - 0.16, z - 0.1), 0.025, 0.018, fill, hanging)
    elif person.hair == "bun":
        canvas.ellipse(canvas.place((x, y + 1.15 * size, z - 0.02)), 0.03, 0.028, fill, _HEAD)
    if person.hair != "bald":
        bulk = size * (1.09 if person.hair != "afro" else 1.4 if person.hat == "none" else 1.15)
        crown = canvas.place((x, y + 0.18 * size, z - 0.012))
        canvas.ellipse(crown, bulk, 1.02 * bulk + 0.008, fill, _HEAD - 0.0005)


def _face(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    (x, y, z), size, scale = joints.head, person.body.head, canvas.view.scale
    front, turned = math.cos(canvas.view.yaw), 0.55 * size * math.sin(canvas.view.yaw) * scale
    column, row = canvas.place((x, y - 0.22 * size, z + 0.025))
    column += 0.3 * turned
    canvas.ellipse((column, row), 0.82 * size, 0.98 * size, label(Part.SKIN), _HEAD + 0.002)
    radius = (0.2 if person.glasses else 0.1) * size
    for side in (-1, 1):
        eye = (column + 0.34 * side * size * front * scale + turned, row - 0.15 * size * scale)
        across = 1.3 * radius if person.glasses else radius
        canvas.ellipse(eye, across, radius, label(Part.EYES), _HEAD + 0.003)
    mouth = (column + turned, row + 0.5 * size * scale)
    canvas.ellipse(mouth, 0.22 * size * front, 0.06 * size, label(Part.SKIN, CREASE), _HEAD + 0.003)


def _hat(canvas: Canvas, person: Identity, joints: Skeleton, front: bool) -> None:
    (x, y, z), size, scale = joints.head, person.body.head, canvas.view.scale
    column, row = canvas.place((x, y + 0.55 * size, z - 0.005))
    hat, band, near = label(Part.HAT), label(Part.HAT_BAND), _HEAD + 0.004
    arc = [math.pi * step / 11 for step in range(12)]
    dome = [(column + 1.12 * size * scale * math.cos(a), row - size * scale * math.sin(a)) for a in arc]
    canvas.polygon(dome, hat, near)
    if person.hat == "brim":
        canvas.ellipse((column, row), 1.75 * size, 0.32 * size, hat, near)
        canvas.taper((column, row - 0.32 * size * scale), 1.13 * size, 1.13 * size, 0.33 * size, band, near)
    elif person.hat == "beanie":
        canvas.taper((column, row - 0.19 * size * scale), 1.16 * size, 1.16 * size, 0.46 * size, band, near)
        canvas.ellipse((column, row - 1.05 * size * scale), 0.35 * size, 0.3 * size, band, near)
    elif front:  # a cap's peak
        peak = canvas.place((x, y + 0.5 * size, z + 1.3 * size))[0]
        canvas.ellipse((peak, row), 0.85 * size, 0.22 * size, band, near)
