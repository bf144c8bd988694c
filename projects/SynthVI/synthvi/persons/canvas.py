"""Draws filled shapes as a map of labels, the farthest shape first."""

import math
from itertools import pairwise

from PIL import Image, ImageDraw

from synthvi.persons.materials import FLAT, Part
from synthvi.persons.pose import Point, View

Pixel = tuple[float, float]  # (column, row)
Level = tuple[float, float, float, float]  # of a tube: height, half width, half depth, forward shift


def label(part: Part, shade: int = FLAT) -> int:
    """The label (0..255) of a part in a shade."""
    return 4 * part + shade


def between(start: Point, end: Point, share: float) -> Point:
    """The point at a share (0..1) of the way from start to end."""
    (x0, y0, z0), (x1, y1, z1) = start, end
    return x0 + share * (x1 - x0), y0 + share * (y1 - y0), z0 + share * (z1 - z0)


class Canvas:
    """Collects shapes, then draws them.

    Half widths, radii and heights are in body heights, ``Pixel`` places in pixels of the map. ``fill``
    is a label. ``near`` orders the shapes: a larger one is drawn over a smaller one.

    Args:
        view: the camera.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._shapes: list[tuple[float, int, bool, int, list]] = []

    def polygon(self, corners: list[Pixel], fill: int, near: float) -> None:
        """A polygon."""
        self._shapes.append((near, len(self._shapes), True, fill, corners))

    def ellipse(self, center: Pixel, rx: float, ry: float, fill: int, near: float) -> None:
        """An upright ellipse with the radii ``rx`` and ``ry``."""
        (column, row), rx, ry = center, rx * self.view.scale, ry * self.view.scale
        box = [column - rx, row - ry, column + rx, row + ry]
        self._shapes.append((near, len(self._shapes), False, fill, box))

    def taper(self, center: Pixel, top: float, bottom: float, height: float, fill: int, near: float) -> None:
        """An upright trapezoid with the half widths ``top`` and ``bottom``."""
        column, row = center
        top, bottom, half = (size * self.view.scale for size in (top, bottom, 0.5 * height))
        corners = [(column - top, row - half), (column + top, row - half)]
        self.polygon([*corners, (column + bottom, row + half), (column - bottom, row + half)], fill, near)

    def ribbon(self, places: list[Pixel], half: float, fill: int, near: float) -> None:
        """A strap along some places, ``half`` wide to either side."""
        half *= self.view.scale
        for (x0, y0), (x1, y1) in pairwise(places):
            self.polygon([(x0 - half, y0), (x0 + half, y0), (x1 + half, y1), (x1 - half, y1)], fill, near)

    def band(self, start: Point, end: Point, r0: float, r1: float, fill: int, near: float) -> None:
        """A tapered strip between two points of the body; r0 and r1 are its half widths."""
        (x0, y0), (x1, y1) = self.place(start), self.place(end)
        length = math.hypot(x1 - x0, y1 - y0)
        if length > 1e-6:
            nx, ny = (y0 - y1) / length * self.view.scale, (x1 - x0) / length * self.view.scale
            a, b = (x0 + nx * r0, y0 + ny * r0), (x1 + nx * r1, y1 + ny * r1)
            c, d = (x1 - nx * r1, y1 - ny * r1), (x0 - nx * r0, y0 - ny * r0)
            self.polygon([a, b, c, d], fill, near)

    def limb(self, start: Point, end: Point, r0: float, r1: float, fill: int, near: float) -> None:
        """A band with round ends."""
        self.sleeve(start, end, r0, r1, fill, near)
        self.ellipse(self.place(end), r1, r1, fill, near)

    def sleeve(self, start: Point, end: Point, r0: float, r1: float, fill: int, near: float) -> None:
        """A band with a round start and a straight hem."""
        self.band(start, end, r0, r1, fill, near)
        self.ellipse(self.place(start), r0, r0, fill, near)

    def place(self, point: Point) -> Pixel:
        """The pixel at which a point of the body is seen."""
        return self.view.project(point)[:2]

    def near(self, point: Point) -> float:
        """How much nearer to the camera a point is than the body's axis, in body heights."""
        return self.view.project(point)[2]

    def outline(self, level: Level) -> tuple[Pixel, float]:
        """Center and half width, in pixels, of a tube's level as it is seen."""
        height, across, along, lean = level
        return self.place((0.0, height, lean)), self.view.half_width(across, along) * self.view.scale

    def tube(self, levels: list[Level], fill: int, near: float) -> None:
        """A garment around the trunk, through its levels from top to bottom."""
        left, right = [], []
        for (column, row), half in map(self.outline, levels):
            left.append((column - half, row))
            right.append((column + half, row))
        self.polygon(left + right[::-1], fill, near)

    def draw(self, height: int, width: int) -> Image.Image:
        """The label map, mode "L", of height x width pixels."""
        image = Image.new("L", (width, height), 0)
        pen = ImageDraw.Draw(image)
        for _, _, is_polygon, fill, coordinates in sorted(self._shapes, key=lambda shape: shape[:2]):
            (pen.polygon if is_polygon else pen.ellipse)(coordinates, fill=fill)
        return image
