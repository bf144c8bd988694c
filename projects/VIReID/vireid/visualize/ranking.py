"""A picture of queries and what a model ranks first for each: the ranking that the results table scores."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from vireid.visualize.scored import ScoredTrial

RIGHT, WRONG, QUERY = (40, 160, 60), (200, 50, 40), (90, 90, 90)
BORDER, GAP = 3, 6


def ranking_picture(
    scored: ScoredTrial, rows: Sequence[int], top: int = 10
) -> tuple[Image.Image, str]:
    """Draw some queries of a trial.

    Args:
        scored: see ``scored_trial``.
        rows: positions of the queries.
        top: gallery images in a row.

    Returns:
        The picture, and a line that says what it shows.
    """
    shown = [scored.queries[row] for row in rows]
    ranked = [scored.first_ranked(row, top) for row in rows]
    picture = draw_ranking(
        [item.path for item in shown],
        [[item.path for item in row] for row in ranked],
        [[item.pid == query.pid for item in row] for query, row in zip(shown, ranked)],
    )
    return picture, f"{scored.title}: {len(rows)} of {len(scored.queries)} queries"


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
