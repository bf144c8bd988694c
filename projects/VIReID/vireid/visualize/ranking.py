"""A picture of queries and what a model ranks first for each: the ranking that the results table scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from vireid.data.datasets.base import ImageItem
from vireid.visualize.scored import ScoredTrial

RIGHT, WRONG, QUERY, TEXT = (30, 140, 60), (200, 45, 40), (90, 90, 90), (40, 40, 40)
BORDER, GAP, HEADING, CAPTION, MARK = 4, 8, 20, 30, 10  # pixels


def ranking_picture(scored: ScoredTrial, rows: Sequence[int], top: int = 10) -> tuple[Image.Image, str]:
    """Draw some queries of a trial.

    Args:
        scored: see ``scored_trial``.
        rows: positions of the queries.
        top: gallery images in a row.

    Returns:
        The picture, and a line that says what it shows.
    """
    lists = [ranked_list(scored.queries[row], scored.ranked(row), top) for row in rows]
    return draw_ranking(lists), f"{scored.title}: {len(rows)} of {len(scored.queries)} queries"


@dataclass(frozen=True)
class RankedList:
    """A query and what is shown beside it.

    Attributes:
        query: its image.
        first: the gallery images that are ranked first, nearest first.
        nearest_right: rank, from 1, and image of the nearest one of the query's identity, where it is not
            among the first; None otherwise.
    """

    query: ImageItem
    first: list[ImageItem]
    nearest_right: tuple[int, ImageItem] | None


def ranked_list(query: ImageItem, ranked: Sequence[ImageItem], top: int) -> RankedList:
    """The first ``top`` of all allowed gallery images, nearest first, and the nearest right one beyond."""
    places = (rank for rank, item in enumerate(ranked, start=1) if item.pid == query.pid)
    rank = next(places, 0)
    return RankedList(query, [*ranked[:top]], (rank, ranked[rank - 1]) if rank > top else None)


def draw_ranking(lists: Sequence[RankedList], *, height: int = 168) -> Image.Image:
    """A row for each query, with a frame and a mark for each gallery image: a tick in a green disc where the
    identity is right, a cross in a red one where it is another. Below each image stand identity and camera.

    Args:
        lists: at least one.
        height: of an image in pixels; the width follows from the first query.

    Returns:
        An RGB picture with ranks above the columns.
    """
    with Image.open(lists[0].query.path) as first:
        width = max(round(height * first.width / first.height), 64)
    columns = max(len(row.first) for row in lists)
    extra = any(row.nearest_right for row in lists)
    cell = width + 2 * BORDER + GAP, height + 2 * BORDER + CAPTION + GAP
    lefts = [
        GAP + cell[0] * n + (2 * GAP if n else 0) + (2 * GAP if n > columns else 0)
        for n in range(columns + 2)
    ]
    picture = Image.new("RGB", (lefts[columns + extra] + cell[0], HEADING + len(lists) * cell[1]), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((lefts[0], 2), "query", fill=TEXT, font=_font())
    for rank in range(1, columns + 1):
        pen.text((lefts[rank], 2), str(rank), fill=TEXT, font=_font())
    if extra:
        pen.text((lefts[-1], 2), "nearest right", fill=TEXT, font=_font())
    for number, row in enumerate(lists):
        top = HEADING + number * cell[1]
        _draw_tile(picture, row.query, (lefts[0], top), (width, height))
        for left, item in zip(lefts[1:], row.first):
            _draw_tile(picture, item, (left, top), (width, height), right=item.pid == row.query.pid)
        if row.nearest_right:
            rank, item = row.nearest_right
            _draw_tile(picture, item, (lefts[-1], top), (width, height), right=True, words=f"rank {rank}")
    return picture


def _draw_tile(
    picture: Image.Image,
    item: ImageItem,
    corner: tuple[int, int],
    size: tuple[int, int],
    *,
    right: bool | None = None,
    words: str = "",
) -> None:
    """An image with frame, mark and caption; ``right`` None is a query, which has no mark."""
    color = QUERY if right is None else RIGHT if right else WRONG
    frame = Image.new("RGB", (size[0] + 2 * BORDER, size[1] + 2 * BORDER), color)
    with Image.open(item.path) as image:
        frame.paste(image.convert("RGB").resize(size), (BORDER, BORDER))
    picture.paste(frame, corner)
    pen = ImageDraw.Draw(picture)
    if right is not None:
        _draw_mark(
            pen, (corner[0] + frame.width - 2 * MARK, corner[1] + frame.height - 2 * MARK), right, color
        )
    below = corner[1] + frame.height + 1
    pen.text((corner[0], below), f"id {item.pid}", fill=TEXT, font=_font())
    pen.text((corner[0], below + 13), words or f"camera {item.camid}", fill=TEXT, font=_font())


def _draw_mark(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], right: bool, color: tuple[int, ...]
) -> None:
    """A tick or a cross on a disc of 2 MARK pixels: readable without color."""
    x, y = corner
    pen.ellipse((x, y, x + 2 * MARK - 1, y + 2 * MARK - 1), fill=color, outline="white")
    if right:
        pen.line((x + 4, y + 10, x + 8, y + 14, x + 15, y + 5), fill="white", width=3)
    else:
        pen.line((x + 5, y + 5, x + 14, y + 14), fill="white", width=3)
        pen.line((x + 5, y + 14, x + 14, y + 5), fill="white", width=3)


def _font() -> Any:
    return ImageFont.load_default(size=12)
