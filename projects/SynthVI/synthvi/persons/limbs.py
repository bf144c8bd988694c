"""Paints legs, shoes and arms with their garments."""

from itertools import pairwise

from synthvi.persons.canvas import Canvas, Level, between, label
from synthvi.persons.materials import CREASE, FAR, FLAT, Part
from synthvi.persons.person import Identity
from synthvi.persons.pose import Point, Skeleton

_SEAT, _SKIRT = 0.02, 0.03  # nearness of the seat of trousers and of a skirt; legs are behind both


def paint_legs(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    """Paint both legs with trousers, shorts or a skirt, and with shoes or boots."""
    body, hip_height = person.body, joints.hip_height
    for side in (0, 1):
        hip, knee, ankle = joints.hips[side], joints.knees[side], joints.ankles[side]
        ahead = 0.35 * canvas.near(ankle) + 0.1 * canvas.near(hip)
        near, shade = min(0.1 * ahead, 0.015), FAR if ahead < -0.025 else FLAT
        skin = label(Part.SKIN, shade)
        canvas.limb(hip, knee, body.thigh, 0.72 * body.thigh, skin, near)
        canvas.limb(knee, ankle, 0.72 * body.thigh, 0.45 * body.thigh, skin, near)
        if person.bottom == "trousers":
            _trouser_leg(canvas, person, (hip, knee, ankle), shade, near)
        elif person.bottom == "shorts":
            _short_leg(canvas, person, (hip, knee), shade, near)
        if person.bottom_pattern.kind == "side_stripe" and person.bottom != "skirt":
            _side_stripe(canvas, person, (hip, knee, ankle), (-1, 1)[side], shade, near)
        _shoe(canvas, person, knee, ankle, shade, near)
    waist = (hip_height + 0.07, body.waist, 0.8 * body.waist, 0.0)
    if person.bottom == "skirt":
        hem_height = hip_height * (1.0 - 0.67 * person.bottom_length)
        hem = body.hip * (1.05 + 0.55 * (person.flare - 0.75))
        levels: list[Level] = [waist, (hip_height, body.hip, 0.8 * body.hip, 0.0)]
        canvas.tube([*levels, (hem_height, hem, 0.85 * hem, 0.0)], label(Part.BOTTOM), _SKIRT)
    else:
        canvas.tube([waist, (hip_height - 0.02, body.hip, 0.8 * body.hip, 0.0)], label(Part.BOTTOM), _SEAT)


def _trouser_leg(
    canvas: Canvas, person: Identity, leg: tuple[Point, Point, Point], shade: int, near: float
) -> None:
    hip, knee, ankle = leg
    wide = 1.06 * person.body.thigh
    hem = person.body.thigh * max(0.55, 0.62 * person.flare)
    middle = 0.5 * (0.85 * wide + hem)
    canvas.limb(hip, knee, wide, middle, label(Part.BOTTOM, shade), near)
    canvas.sleeve(knee, between(knee, ankle, 0.97), middle, hem, label(Part.BOTTOM, shade), near)
    if person.bottom_pattern.kind == "cuffs":
        start, end = between(knee, ankle, 0.6), between(knee, ankle, 0.98)
        canvas.band(start, end, 1.06 * middle, 1.06 * hem, label(Part.BOTTOM_FIGURE, shade), near)


def _short_leg(canvas: Canvas, person: Identity, thigh: tuple[Point, Point], shade: int, near: float) -> None:
    hip, knee = thigh
    wide = 1.06 * person.body.thigh
    hem = wide * (0.8 + 0.15 * person.flare)
    end = between(hip, knee, 0.5 + 0.75 * person.bottom_length)
    canvas.sleeve(hip, end, wide, hem, label(Part.BOTTOM, shade), near)
    if person.bottom_pattern.kind == "cuffs":
        start = between(hip, end, 0.68)
        canvas.band(start, end, 1.05 * wide, 1.05 * hem, label(Part.BOTTOM_FIGURE, shade), near)


def _side_stripe(
    canvas: Canvas, person: Identity, leg: tuple[Point, Point, Point], side: int, shade: int, near: float
) -> None:
    hip, knee, ankle = leg
    if person.bottom == "trousers":
        places = [(hip, 1.0), (knee, 0.85), (between(knee, ankle, 0.9), 0.75)]
    else:
        places = [(hip, 1.0), (between(hip, knee, 0.9), 0.75)]
    shift = side * 0.8 * person.body.thigh
    outer = [(x + shift * share, y, z) for (x, y, z), share in places]
    for start, end in pairwise(outer):
        canvas.limb(start, end, 0.012, 0.012, label(Part.BOTTOM_FIGURE, shade), near)


def _shoe(canvas: Canvas, person: Identity, knee: Point, ankle: Point, shade: int, near: float) -> None:
    if person.boots:
        shaft = between(ankle, knee, person.boots)
        radius = 0.8 * person.body.thigh
        canvas.limb(shaft, ankle, radius, 0.75 * radius, label(Part.SHOE, shade), near)
    x, y, z = ankle
    heel, toe = (x, y - 0.02, z - 0.012), (1.15 * x, y - 0.022, z + 0.065)
    under = [(px, py - 0.008, pz) for px, py, pz in (heel, toe)]
    canvas.limb(under[0], under[1], 0.022, 0.019, label(Part.SOLE, shade), near + 0.001)
    canvas.limb(heel, toe, 0.023, 0.018, label(Part.SHOE, shade), near + 0.002)


def paint_arms(canvas: Canvas, person: Identity, joints: Skeleton) -> None:
    """Paint both arms with sleeves; a dark outline separates an arm from the trunk."""
    radius = person.body.limb
    covered = 0.97 if person.coat else person.sleeve
    part = Part.COAT if person.coat else Part.SLEEVE if person.raglan else Part.TOP
    for side in (0, 1):
        shoulder, elbow, wrist = joints.shoulders[side], joints.elbows[side], joints.wrists[side]
        ahead = 0.6 * canvas.near(elbow) + 0.4 * canvas.near(wrist)
        near = ahead + 0.055 if ahead > -0.055 else ahead - 0.05  # before the trunk, or clearly behind it
        shade = FLAT if near > 0 else FAR
        skin, cloth = label(Part.SKIN, shade), label(part, shade)
        lower = label(part if covered > 0.6 else Part.SKIN, CREASE)
        canvas.limb(shoulder, elbow, 1.3 * radius, 1.3 * radius, label(part, CREASE), near)
        canvas.limb(elbow, wrist, 1.3 * radius, 0.95 * radius, lower, near)
        canvas.limb(shoulder, elbow, radius, 0.85 * radius, skin, near)
        canvas.limb(elbow, wrist, 0.85 * radius, 0.6 * radius, skin, near)
        canvas.ellipse(canvas.place((wrist[0], wrist[1] - 0.012, wrist[2])), 0.02, 0.025, skin, near)
        if covered > 0:
            end = between(shoulder, elbow, min(1.0, 2 * covered))
            canvas.sleeve(shoulder, end, 1.12 * radius, 1.12 * radius, cloth, near)
        if covered > 0.5:
            end = between(elbow, wrist, 2 * covered - 1)
            canvas.sleeve(elbow, end, 1.12 * radius, 0.9 * radius, cloth, near)
