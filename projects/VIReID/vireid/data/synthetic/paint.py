"""Paints a person as a map of labels (4 * part + shade, see materials.py), without any color."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from .materials import CREASE, FAR, FLAT, LIT, Part
from .person import Identity
from .pose import Point, Skeleton, View, skeleton
from .prints import apply_print

Polygon = list[tuple[float, float]]


class _Canvas:
    """Collects shapes with their nearness and draws the farthest first."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._shapes: list[tuple[float, int, str, int, list]] = []

    def _add(self, near: float, kind: str, label: int, coordinates: list) -> None:
        self._shapes.append((near, len(self._shapes), kind, label, coordinates))

    def polygon(self, points: Polygon, label: int, near: float) -> None:
        """A filled polygon in pixels."""
        self._add(near, "polygon", label, points)

    def ellipse(self, column: float, row: float, rx: float, ry: float, label: int, near: float) -> None:
        """A filled ellipse; center in pixels, radii in body heights."""
        rx, ry = rx * self.view.scale, ry * self.view.scale
        self._add(near, "ellipse", label, [column - rx, row - ry, column + rx, row + ry])

    def limb(self, start: Point, end: Point, r0: float, r1: float, label: int, near: float) -> None:
        """A tapered capsule between two joints; radii in body heights."""
        (x0, y0, _), (x1, y1, _) = self.view.project(start), self.view.project(end)
        scale = self.view.scale
        length = math.hypot(x1 - x0, y1 - y0)
        if length > 1e-6:
            nx, ny = (y0 - y1) / length * scale, (x1 - x0) / length * scale
            self.polygon(
                [(x0 + nx * r0, y0 + ny * r0), (x1 + nx * r1, y1 + ny * r1),
                 (x1 - nx * r1, y1 - ny * r1), (x0 - nx * r0, y0 - ny * r0)], label, near)  # fmt: skip
        self.ellipse(x0, y0, r0, r0, label, near)
        self.ellipse(x1, y1, r1, r1, label, near)

    def draw(self, height: int, width: int) -> Image.Image:
        """The label map."""
        image = Image.new("L", (width, height), 0)
        pen = ImageDraw.Draw(image)
        for _, _, kind, label, coordinates in sorted(self._shapes, key=lambda shape: shape[:2]):
            (pen.polygon if kind == "polygon" else pen.ellipse)(coordinates, fill=label)
        return image


def _label(part: Part, shade: int = FLAT) -> int:
    return 4 * part + shade


def _between(a: Point, b: Point, share: float) -> Point:
    return tuple(p + share * (q - p) for p, q in zip(a, b))  # type: ignore[return-value]


def _tube(canvas: _Canvas, levels: list[tuple[float, float, float, float]], label: int, near: float) -> None:
    """A garment around the trunk: levels of (height, half width, half depth, forward lean)."""
    left, right = [], []
    for height, across, along, lean in levels:
        column, row, _ = canvas.view.project((0.0, height, lean))
        half = canvas.view.half_width(across, along) * canvas.view.scale
        left.append((column - half, row))
        right.append((column + half, row))
    canvas.polygon(left + right[::-1], label, near)


def _surface(canvas: _Canvas, person: Identity, joints: Skeleton, angle: float, below: float) -> tuple[float, float]:
    """(column, row) of a place on the chest: angle around the trunk, height below the shoulders."""
    body = person.body
    across, along = 0.93 * body.shoulder, 0.93 * body.shoulder * body.depth
    point = (across * math.sin(angle), joints.shoulder_height - below, person.gait.lean + along * math.cos(angle))
    column, row, _ = canvas.view.project(point)
    return column, row


def _trunk_levels(person: Identity, joints: Skeleton, hem: float, slack: float) -> list:
    body, lean = person.body, person.gait.lean
    top, hip = joints.shoulder_height, joints.hip_height
    profile = [(top + 0.03, 0.036, 0.034), (top + 0.012, 0.6 * body.shoulder, 0.04),
               (top - 0.012, 0.97 * body.shoulder, 0.75 * body.shoulder * body.depth),
               (top - 0.1, 0.92 * body.shoulder, body.shoulder * body.depth),
               (0.45 * top + 0.55 * hip, body.waist, body.waist * 0.9 * body.depth + 0.01),
               (hip, body.hip, body.hip * 0.8)]  # fmt: skip
    if hem < hip:
        profile.append((hem, body.hip * (1.0 + 0.5 * (hip - hem)), body.hip * 0.85))
    return [(y, w * slack, d * slack, lean * (y - hip) / (top - hip)) for y, w, d in profile if y >= hem - 1e-9]


def _legs(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    body = person.body
    trousers, skirt = person.bottom == "trousers", person.bottom == "skirt"
    covered = person.bottom_length
    for side in (0, 1):
        hip, knee, ankle = joints.hips[side], joints.knees[side], joints.ankles[side]
        ahead = 0.35 * canvas.view.project(ankle)[2] + 0.1 * canvas.view.project(hip)[2]
        near = min(0.1 * ahead, 0.015)  # never before the garments of the trunk
        shade = FAR if ahead < -0.025 else FLAT
        leg_radii = (body.thigh, 0.72 * body.thigh, 0.45 * body.thigh)
        canvas.limb(hip, knee, leg_radii[0], leg_radii[1], _label(Part.SKIN, shade), near)
        canvas.limb(knee, ankle, leg_radii[1], leg_radii[2], _label(Part.SKIN, shade), near)
        cloth = _label(Part.BOTTOM, shade)
        wide = 1.06 * body.thigh
        cuff = person.bottom_pattern.kind == "cuffs"
        if trousers:
            hem = max(0.55 * body.thigh, 0.62 * body.thigh * person.flare)
            middle = 0.5 * (0.85 * wide + hem)
            canvas.limb(hip, knee, wide, middle, cloth, near)
            canvas.limb(knee, _between(knee, ankle, 0.93), middle, hem, cloth, near)
            if cuff:
                start = _between(knee, ankle, 0.62)
                canvas.limb(start, _between(knee, ankle, 0.95), 1.04 * hem, 1.04 * hem,
                            _label(Part.BOTTOM_FIGURE, shade), near)  # fmt: skip
        elif not skirt:
            end = _between(hip, knee, min(1.0, covered * 1.35))
            canvas.limb(hip, end, wide, wide * (0.85 + 0.15 * person.flare), cloth, near)
            if cuff:
                canvas.limb(_between(hip, end, 0.8), end, 1.1 * wide, 1.1 * wide,
                            _label(Part.BOTTOM_FIGURE, shade), near)  # fmt: skip
        if person.bottom_pattern.kind == "side_stripe" and not skirt:
            shift = (1 if side else -1) * 0.75 * wide
            last = _between(knee, ankle, 0.9) if trousers else _between(hip, knee, 0.9)
            outer = [(p[0] + shift * k, p[1], p[2]) for p, k in ((hip, 1.0), (knee, 0.85), (last, 0.75))]
            for a, b in zip(outer, outer[1:]) if trousers else ((outer[0], outer[2]),):
                canvas.limb(a, b, 0.012, 0.012, _label(Part.BOTTOM_FIGURE, shade), near)
        toe = (ankle[0] * 1.15, ankle[1] - 0.022, ankle[2] + 0.065)
        heel = (ankle[0], ankle[1] - 0.02, ankle[2] - 0.012)
        if person.boots:
            canvas.limb(_between(ankle, knee, person.boots), ankle, 0.8 * body.thigh, 0.6 * body.thigh,
                        _label(Part.SHOE, shade), near)  # fmt: skip
        canvas.limb((heel[0], heel[1] - 0.008, heel[2]), (toe[0], toe[1] - 0.008, toe[2]), 0.022, 0.019,
                    _label(Part.SOLE, shade), near + 0.001)  # fmt: skip
        canvas.limb(heel, toe, 0.023, 0.018, _label(Part.SHOE, shade), near + 0.002)
    if skirt:
        hip_y = joints.hip_height
        hem_y = hip_y - 0.42 * covered * hip_y * 1.6
        flare = body.hip * (1.05 + 0.55 * (person.flare - 0.75))
        _tube(canvas, [(hip_y + 0.07, body.waist, 0.8 * body.waist, 0.0), (hip_y, body.hip, 0.8 * body.hip, 0.0),
                       (hem_y, flare, 0.85 * flare, 0.0)], _label(Part.BOTTOM), 0.03)  # fmt: skip
    else:
        _tube(canvas, [(joints.hip_height + 0.07, body.waist, 0.8 * body.waist, 0.0),
                       (joints.hip_height - 0.02, body.hip, 0.8 * body.hip, 0.0)], _label(Part.BOTTOM), 0.02)


def _arms(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    body = person.body
    for side in (0, 1):
        shoulder, elbow, wrist = joints.shoulders[side], joints.elbows[side], joints.wrists[side]
        near = 0.6 * canvas.view.project(elbow)[2] + 0.4 * canvas.view.project(wrist)[2]
        near = near + 0.055 if near > -0.055 else near - 0.05
        shade = FAR if near < 0 else FLAT
        radius = body.limb
        covered = 0.97 if person.coat else person.sleeve
        part = Part.COAT if person.coat else Part.SLEEVE if person.raglan else Part.TOP
        outline = 1.3 * radius
        canvas.limb(shoulder, elbow, outline, outline, _label(part, CREASE), near)
        canvas.limb(elbow, wrist, outline, 0.95 * radius,
                    _label(part if covered > 0.6 else Part.SKIN, CREASE), near)  # fmt: skip
        canvas.limb(shoulder, elbow, radius, 0.85 * radius, _label(Part.SKIN, shade), near)
        canvas.limb(elbow, wrist, 0.85 * radius, 0.6 * radius, _label(Part.SKIN, shade), near)
        column, row, _ = canvas.view.project(wrist)
        canvas.ellipse(column, row + 0.012 * canvas.view.scale, 0.02, 0.025, _label(Part.SKIN, shade), near)
        if covered > 0:
            cloth = _label(part, shade)
            thick = 1.12 * radius
            end = _between(shoulder, elbow, min(1.0, covered * 2))
            canvas.limb(shoulder, end, thick, thick, cloth, near)
            if covered > 0.5:
                canvas.limb(elbow, _between(elbow, wrist, covered * 2 - 1), thick, 0.9 * radius, cloth, near)


def _trunk(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    view, body = canvas.view, person.body
    top, hip = joints.shoulder_height, joints.hip_height
    column, row, _ = view.project((0.0, top + 0.02, person.gait.lean))
    canvas.ellipse(column, row, 0.036, 0.055, _label(Part.SKIN, FAR), 0.035)
    _tube(canvas, _trunk_levels(person, joints, hip - person.top_length, 1.03), _label(Part.TOP), 0.04)
    facing = math.cos(view.yaw) > 0
    column, row = _surface(canvas, person, joints, 0.0, -0.01)
    if facing:  # the neck opening
        canvas.ellipse(column, row, 0.03, 0.022, _label(Part.SKIN), 0.041)
    if person.logo != "none" and facing:
        _logo(canvas, person, joints)
    if person.coat:
        levels = _trunk_levels(person, joints, hip - person.coat_length, 1.14)
        opening = person.coat_opening
        if not facing or opening == 0.0:
            _tube(canvas, levels, _label(Part.COAT), 0.045)
            if facing:
                seam = [_surface(canvas, person, joints, a, b)
                        for a, b in ((-0.05, 0.0), (-0.05, top - hip), (0.05, top - hip), (0.05, 0.0))]  # fmt: skip
                canvas.polygon(seam, _label(Part.COAT, CREASE), 0.046)
        else:
            for sign in (-1, 1):
                outer, inner = [], []
                for height, across, along, lean in levels:
                    column, row, _ = view.project((0.0, height, lean))
                    half = view.half_width(across, along) * view.scale
                    edge = view.project((across * math.sin(sign * opening), height,
                                         lean + along * math.cos(opening)))[0]  # fmt: skip
                    outer.append((column + sign * half, row))
                    inner.append((min(max(edge, column - half), column + half), row))
                canvas.polygon(outer + inner[::-1], _label(Part.COAT), 0.045)
    if person.scarf:
        column, row, _ = view.project((0.0, top + 0.02, person.gait.lean))
        canvas.ellipse(column, row, 0.06, 0.026, _label(Part.SCARF), 0.05)
        if facing:
            end = _surface(canvas, person, joints, 0.25, 0.16)
            width = 0.02 * view.scale
            canvas.polygon([(column, row), (column + 2 * width, row), (end[0] + width, end[1]),
                            (end[0] - width, end[1])], _label(Part.SCARF), 0.05)  # fmt: skip


def _logo(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    angle, below = person.logo_place
    if math.cos(angle + canvas.view.yaw) < 0.25:
        return
    column, row = _surface(canvas, person, joints, angle, below)
    ry = person.logo_size
    rx = ry * math.cos(angle + canvas.view.yaw)
    label, near, scale = _label(Part.LOGO), 0.042, canvas.view.scale

    def box(x0: float, y0: float, x1: float, y1: float) -> Polygon:
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        return [(column + x * rx * scale, row + y * ry * scale) for x, y in corners]

    if person.logo in ("disc", "ring"):
        canvas.ellipse(column, row, rx, ry, label, near)
        if person.logo == "ring":
            canvas.ellipse(column, row, 0.5 * rx, 0.5 * ry, _label(Part.TOP), near)
    elif person.logo == "square":
        canvas.polygon(box(-1, -1, 1, 1), label, near)
    elif person.logo == "bar":
        canvas.polygon(box(-2, -0.5, 2, 0.5), label, near)
    elif person.logo == "cross":
        canvas.polygon(box(-1.2, -0.35, 1.2, 0.35), label, near)
        canvas.polygon(box(-0.35, -1.2, 0.35, 1.2), label, near)
    else:
        tip = (column, row - 1.2 * ry * scale)
        canvas.polygon([tip, *box(-1.2, 0.0, 1.2, 1.0)[2:]], label, near)


def _head(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    view, size = canvas.view, person.body.head
    x, y, z = joints.head
    column, row, _ = view.project(joints.head)
    front = math.cos(view.yaw)
    hair = _label(Part.HAIR)
    if person.hair in ("long", "bob"):
        length = 0.2 if person.hair == "long" else 0.1
        back = view.project((x, y - 0.5 * length, z - 0.03))
        canvas.ellipse(back[0], back[1], 1.12 * size, 0.5 * length + size, hair, 0.03 if front > 0 else 0.09)
    if person.hair == "ponytail":
        tail = (x, y - 0.16, z - 0.1)
        canvas.limb((x, y + 0.02, z - 0.06), tail, 0.025, 0.018, hair, 0.03 if front > 0 else 0.09)
    if person.hair == "bun":
        bun = view.project((x, y + 1.15 * size, z - 0.02))
        canvas.ellipse(bun[0], bun[1], 0.03, 0.028, hair, 0.06)
    bulk = {"afro": 1.4 if person.hat == "none" else 1.15, "bald": 0.0}.get(person.hair, 1.09)
    if bulk:
        crown = view.project((x, y + 0.18 * size, z - 0.012))
        canvas.ellipse(crown[0], crown[1], bulk * size, 1.02 * bulk * size + 0.008, hair, 0.061)
    canvas.ellipse(column, row, 0.92 * size, 1.2 * size, hair if bulk and front < 0 else _label(Part.SKIN), 0.06)
    if front > 0:
        face = view.project((x, y - 0.22 * size, z + 0.025))
        turned = 0.55 * size * math.sin(view.yaw)
        face_column = face[0] + 0.3 * turned * view.scale
        canvas.ellipse(face_column, face[1], 0.82 * size, 0.98 * size, _label(Part.SKIN), 0.062)
        for eye in (-1, 1):
            eye_column = face_column + (0.34 * eye * size * front + turned) * view.scale
            eye_row = face[1] - 0.15 * size * view.scale
            radius = 0.2 * size if person.glasses else 0.1 * size
            canvas.ellipse(eye_column, eye_row, radius * 1.3 if person.glasses else radius, radius,
                           _label(Part.EYES), 0.063)  # fmt: skip
        mouth_row = face[1] + 0.5 * size * view.scale
        canvas.ellipse(face_column + turned * view.scale, mouth_row, 0.22 * size * front, 0.06 * size,
                       _label(Part.SKIN, CREASE), 0.063)  # fmt: skip
    _hat(canvas, person, joints)


def _hat(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    view, size = canvas.view, person.body.head
    x, y, z = joints.head
    if person.hat == "none":
        return
    column, row, _ = view.project((x, y + 0.55 * size, z - 0.005))
    scale, hat, band = view.scale, _label(Part.HAT), _label(Part.HAT_BAND)
    near = 0.064
    if person.hat == "hood":
        part = Part.COAT if person.coat else Part.TOP
        middle = view.project((x, y, z - 0.03))
        canvas.ellipse(middle[0], middle[1], 1.32 * size, 1.5 * size, _label(part), 0.0605)
        return
    dome = [(column + 1.12 * size * scale * math.cos(a), row - 1.0 * size * scale * math.sin(a))
            for a in np.linspace(0.0, math.pi, 12)]  # fmt: skip
    canvas.polygon(dome, hat, near)
    brim = view.half_width(1.15 * size, 1.1 * size)
    if person.hat == "brim":
        canvas.ellipse(column, row, 1.75 * size, 0.32 * size, hat, near)
        height = 0.3 * size * scale
        canvas.polygon([(column - brim * scale, row - 1.6 * height), (column + brim * scale, row - 1.6 * height),
                        (column + brim * scale, row - 0.5 * height), (column - brim * scale, row - 0.5 * height)],
                       band, near)  # fmt: skip
    elif person.hat == "cap":
        peak = view.project((x, y + 0.5 * size, z + 1.3 * size))
        if math.cos(view.yaw) > 0:
            canvas.ellipse(peak[0], row, 0.85 * size, 0.22 * size, band, near)
    else:
        half, height = 1.16 * size * scale, 0.42 * size * scale
        canvas.polygon([(column - half, row - height), (column + half, row - height),
                        (column + half, row + 0.1 * height), (column - half, row + 0.1 * height)], band, near)
        canvas.ellipse(column, row - 1.05 * size * scale, 0.35 * size, 0.3 * size, band, near)


def _bag(canvas: _Canvas, person: Identity, joints: Skeleton) -> None:
    view, body, size = canvas.view, person.body, person.bag_size
    kind, _, place = person.bag.partition("_")
    if kind == "none":
        return
    scale, top = view.scale, joints.shoulder_height
    side = 1 if place == "left" else -1
    strap_width = 0.011 * scale
    facing = math.cos(view.yaw) > 0

    def box(center: Point, across: float, along: float, height: float) -> None:
        column, row, near = view.project(center)
        half, tall = view.half_width(across, along) * scale, 0.5 * height * scale
        near = near + 0.07 if near > -0.05 else near - 0.06
        for grow, label in ((1.1, _label(Part.BAG, CREASE)), (1.0, _label(Part.BAG))):
            canvas.polygon([(column - 0.8 * half * grow, row - tall * grow), (column + 0.8 * half * grow, row - tall * grow),
                            (column + half * grow, row + tall * grow), (column - half * grow, row + tall * grow)],
                           label, near)  # fmt: skip
        canvas.polygon([(column - 0.84 * half, row - 0.8 * tall), (column + 0.84 * half, row - 0.8 * tall),
                        (column + 0.86 * half, row - 0.15 * tall), (column - 0.86 * half, row - 0.15 * tall)],
                       _label(Part.BAG_FLAP), near)  # fmt: skip

    def strap(points: list[tuple[float, float]], near: float) -> None:
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            canvas.polygon([(x0 - strap_width, y0), (x0 + strap_width, y0), (x1 + strap_width, y1),
                            (x1 - strap_width, y1)], _label(Part.STRAP, LIT), near)  # fmt: skip

    if kind == "backpack":
        depth = body.shoulder * body.depth + 0.04
        box((0.0, top - 0.15, -depth), 0.112 * size, 0.055 * size, 0.3 * size)
        if facing:
            for angle in (-0.62, 0.62):
                if math.cos(angle + view.yaw) > 0.2:
                    strap([_surface(canvas, person, joints, angle, b) for b in (-0.015, 0.08, 0.17)], 0.048)
    elif kind == "cross":
        hip = (side * (body.hip + 0.045), joints.hip_height + 0.01, 0.02)
        box(hip, 0.055 * size, 0.06 * size, 0.115 * size)
        angles = (-side * 0.7, -side * 0.1, side * 0.7, side * 1.2)
        strap([_surface(canvas, person, joints, a, b) for a, b in zip(angles, (-0.01, 0.12, 0.24, 0.32))], 0.048)
    elif kind == "tote":
        shoulder = joints.shoulders[side > 0]
        center = (shoulder[0] + side * 0.04, shoulder[1] - 0.27, 0.0)
        box(center, 0.06 * size, 0.09 * size, 0.2 * size)
        a, b = view.project(shoulder), view.project(center)
        strap([(a[0], a[1]), (b[0], b[1])], 0.13)
    else:
        wrist = joints.wrists[side > 0]
        center = (wrist[0] + side * 0.015, wrist[1] - 0.02 - 0.075 * size, wrist[2])
        box(center, 0.055 * size, 0.08 * size, 0.13 * size)
        a, b = view.project(wrist), view.project(center)
        strap([(a[0], a[1]), (b[0], b[1])], 0.1)


def paint(person: Identity, phase: float, view: View, height: int, width: int) -> Image.Image:
    """The label map of a person, an "L" image of width x height, 0 where there is no person.

    Args:
        phase: the moment of the walk, radians.
        view: the camera, in pixels of this map.
    """
    joints = skeleton(person.body, person.gait, phase)
    canvas = _Canvas(view)
    _legs(canvas, person, joints)
    _trunk(canvas, person, joints)
    _arms(canvas, person, joints)
    _head(canvas, person, joints)
    _bag(canvas, person, joints)
    labels = np.array(canvas.draw(height, width))
    column, row, _ = view.project((0.0, joints.shoulder_height, person.gait.lean))
    girth = person.body.shoulder * view.half_width(1.0, person.body.depth)
    around = (column, row, girth, person.body.shoulder)
    apply_print(labels, view, around, Part.TOP, Part.TOP_FIGURE, person.top)
    if person.coat:
        apply_print(labels, view, around, Part.COAT, Part.COAT_FIGURE, person.coat_pattern)
    apply_print(labels, view, around, Part.BOTTOM, Part.BOTTOM_FIGURE, person.bottom_pattern)
    return Image.fromarray(labels)
