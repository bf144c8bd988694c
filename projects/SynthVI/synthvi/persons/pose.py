"""A person's joints at a moment of the walk, and the pixels at which a camera sees them.

Body coordinates: x to the person's left (right in the image when facing the camera), y up from the
floor, z forward. The body height is 1.
"""

import math
from dataclasses import dataclass

from synthvi.persons.person import Body, Gait

Point = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """A scaled orthographic camera.

    Attributes:
        yaw: turn of the person, radians; 0 faces the camera.
        pitch: how far the camera looks down, radians.
        scale: pixels of a body height.
        center: pixel column of the body's axis.
        floor: pixel row of the floor.
    """

    yaw: float
    pitch: float
    scale: float
    center: float
    floor: float

    def project(self, point: Point) -> tuple[float, float, float]:
        """(column, row, nearness) of a point in body coordinates; nearness in body heights."""
        x, y, z = point
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        across, near = x * cos + z * sin, z * cos - x * sin
        closer = 1.0 + 0.35 * self.pitch * (y - 0.5)  # a camera above sees a larger head, smaller feet
        column = self.center + self.scale * across * closer
        row = self.floor - self.scale * (y * (1.0 + 0.35 * self.pitch * (y - 1.0) / 2) - near * self.pitch)
        return column, row, near

    def in_box(self, height: int, width: int, shift: tuple[float, float], zoom: float) -> "View":
        """The view in another box, whose content fills an image of the same size.

        Args:
            height, width: of the image in pixels.
            shift: of the box to the right and down, shares of the width and the height.
            zoom: size of the box relative to the present one; it grows around the center.
        """
        if zoom == 1 and shift == (0.0, 0.0):
            return self
        across, down = shift
        return View(
            self.yaw,
            self.pitch,
            self.scale / zoom,
            width / 2 + (self.center - width / 2 - across * width) / zoom,
            height / 2 + (self.floor - height / 2 - down * height) / zoom,
        )

    def half_width(self, across: float, along: float) -> float:
        """Half the seen width, in body heights, of an upright elliptic cylinder."""
        return math.hypot(across * math.cos(self.yaw), along * math.sin(self.yaw))


@dataclass(frozen=True)
class Skeleton:
    """Joints in body coordinates; each pair is (person's right, person's left)."""

    head: Point
    chin: float
    shoulder_height: float
    hip_height: float
    shoulders: tuple[Point, Point]
    elbows: tuple[Point, Point]
    wrists: tuple[Point, Point]
    hips: tuple[Point, Point]
    knees: tuple[Point, Point]
    ankles: tuple[Point, Point]


def _swing(start: Point, length: float, forward: float, outward: float = 0.0) -> Point:
    """The end of a bone that hangs down from ``start``, turned forward and outward (radians)."""
    x, y, z = start
    return (
        x + length * math.sin(outward),
        y - length * math.cos(forward) * math.cos(outward),
        z + length * math.sin(forward),
    )


def _arm(body: Body, gait: Gait, shoulder: Point, side: int, swing: float) -> tuple[Point, Point]:
    """(elbow, wrist) of one arm; side is -1 for the right arm, 1 for the left."""
    upper, lower = 0.52 * body.arm_length, 0.48 * body.arm_length
    posture = gait.arms if side != gait.loaded else "swing"
    if posture == "pockets":
        return _swing(shoulder, upper, -0.25, side * 0.42), (
            side * (body.hip + 0.005),
            shoulder[1] - 0.29,
            0.03,
        )
    if posture == ("phone_left" if side > 0 else "phone_right"):
        return _swing(shoulder, upper, 0.15, side * 0.3), (side * 0.045, shoulder[1] - 0.015, 0.13)
    if posture == "crossed_back":
        return _swing(shoulder, upper, -0.35, side * 0.35), (side * 0.02, shoulder[1] - 0.27, -0.2)
    elbow = _swing(shoulder, upper, swing, side * 0.16)
    return elbow, _swing(elbow, lower, swing + gait.elbow, side * 0.05)


def skeleton(body: Body, gait: Gait, phase: float) -> Skeleton:
    """The joints at a phase (radians) of the walk; both feet are at the floor or above it."""
    chin = 1.0 - 2.45 * body.head
    shoulder_height = chin - 0.035
    bone = 0.5 * (body.leg_length - 0.035)
    hips, knees, ankles, shoulders, elbows, wrists = [], [], [], [], [], []
    for side in (-1, 1):
        angle = gait.stride * math.sin(phase + (math.pi if side > 0 else 0.0))
        lift = max(0.0, math.cos(phase + (math.pi if side > 0 else 0.0)))
        hip = (side * 0.52 * body.hip, body.leg_length, 0.0)
        spread = side * math.asin(max(-0.3, min(0.3, (gait.stance - 0.52 * body.hip) / (2 * bone))))
        knee = _swing(hip, bone, angle + 0.35 * gait.stride * lift, spread)
        ankle = _swing(knee, bone, angle - 0.9 * gait.stride * lift, spread)
        shoulder = (side * (body.shoulder - 0.6 * body.limb), shoulder_height - 0.02, gait.lean)
        elbow, wrist = _arm(
            body, gait, shoulder, side, -gait.arm_swing * math.sin(phase + (side > 0) * math.pi)
        )
        hips.append(hip)
        knees.append(knee)
        ankles.append(ankle)
        shoulders.append(shoulder)
        elbows.append(elbow)
        wrists.append(wrist)
    return Skeleton(
        (0.0, 1.0 - 1.22 * body.head, 1.3 * gait.lean),
        chin,
        shoulder_height,
        body.leg_length,
        (shoulders[0], shoulders[1]),
        (elbows[0], elbows[1]),
        (wrists[0], wrists[1]),
        (hips[0], hips[1]),
        (knees[0], knees[1]),
        (ankles[0], ankles[1]),
    )
