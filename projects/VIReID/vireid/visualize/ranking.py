"""A picture of queries and what a model ranks first for each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

RIGHT, WRONG, QUERY = (40, 160, 60), (200, 50, 40), (90, 90, 90)
BORDER, GAP = 3, 6


def draw_ranking(
    query_paths: Sequence[str],
    gallery_paths: Sequence[Sequence[str]],
    right: Sequence[Sequence[bool]],
    *,
    height: int = 128,
) -> Image.Image:
    """Rows of a query and its gallery images, nearest first, framed green where the identity is right.

    Args:
        query_paths: R images.
        gallery_paths: for each query, its nearest images.
        right: whether each of those is of the query's identity.
        height: of one image in pixels; the width follows from the first query.

    Returns:
        An RGB picture with ranks above the columns.
    """
    with Image.open(query_paths[0]) as first:
        width = round(height * first.width / first.height)
    cell_width, cell_height = width + 2 * BORDER + GAP, height + 2 * BORDER + GAP
    columns = 1 + max(map(len, gallery_paths))
    picture = Image.new("RGB", (columns * cell_width + 3 * GAP, len(query_paths) * cell_height + 18), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((GAP, 3), "query", fill=QUERY)
    for rank in range(1, columns):
        draw.text((rank * cell_width + 3 * GAP, 3), str(rank), fill=QUERY)
    for row, (query, gallery, hits) in enumerate(zip(query_paths, gallery_paths, right)):
        top = 18 + row * cell_height
        _paste(picture, query, (GAP // 2, top), (width, height), QUERY)
        for column, (path, hit) in enumerate(zip(gallery, hits), start=1):
            left = column * cell_width + 3 * GAP
            _paste(picture, path, (left, top), (width, height), RIGHT if hit else WRONG)
    return picture


def _paste(
    picture: Image.Image,
    path: str | Path,
    corner: tuple[int, int],
    size: tuple[int, int],
    color: tuple[int, ...],
) -> None:
    frame = Image.new("RGB", (size[0] + 2 * BORDER, size[1] + 2 * BORDER), color)
    with Image.open(path) as image:
        frame.paste(image.convert("RGB").resize(size), (BORDER, BORDER))
    picture.paste(frame, corner)


def nearest_gallery(dist: np.ndarray, exclude: np.ndarray | None, count: int) -> np.ndarray:
    """Positions of the nearest allowed gallery images, ties by position.

    Args:
        dist: (Q, G).
        exclude: (Q, G) bool, True where an image is left out; None leaves out none.
        count: how many.

    Returns:
        (Q, count) int64.
    """
    if exclude is not None:
        dist = np.where(exclude, np.inf, dist)
    return np.argsort(dist, axis=1, kind="stable")[:, :count]
