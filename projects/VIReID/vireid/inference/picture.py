"""A picture of a query and the images that a search found."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from vireid.errors import ImageError
from vireid.inference.inputs import AnyImage, as_pillow
from vireid.inference.records import Match

HEIGHT, GAP, TEXT = 200, 10, 12  # pixels
COLUMNS = 11
INK, PALE, MISSING = (20, 20, 20), (110, 110, 110), (225, 225, 225)


def search_picture(query: AnyImage, matches: Sequence[Match]) -> Image.Image:
    """The query, then the found images, best first, each with rank, score, identity, camera and time.

    A file that cannot be read any more is a gray box.

    Args:
        query: as of ``Embedder.embed``.
        matches: of ``Gallery.search``.
    """
    first = as_pillow(query)
    width = min(2 * HEIGHT, max(HEIGHT // 2, round(HEIGHT * first.width / first.height)))
    cells: list[tuple[Image.Image | None, list[str]]] = [(first, ["query"])]
    for rank, match in enumerate(matches, start=1):
        known = [f"person {match.identity}" if match.identity else "", f"camera {match.camera}"]
        lines = [f"{rank}   {match.score:.3f}", *(known if match.camera else known[:1])]
        lines += [f"{match.time:%Y-%m-%d}", f"{match.time:%H:%M:%S}"] if match.time else []
        cells.append((_picture(match.path), [line for line in lines if line]))
    columns = min(COLUMNS, len(cells))
    cell_width, cell_height = width + GAP, HEIGHT + 5 * (TEXT + 3) + 2 * GAP
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for number, (picture, lines) in enumerate(cells):
        left, top = GAP + number % columns * cell_width, GAP + number // columns * cell_height
        if picture is None:
            draw.rectangle((left, top, left + width, top + HEIGHT), fill=MISSING)
        else:
            fitted = picture.copy()
            fitted.thumbnail((width, HEIGHT), Image.Resampling.LANCZOS)
            if fitted.height < HEIGHT and fitted.width < width:  # smaller than the box
                scale = min(width / fitted.width, HEIGHT / fitted.height)
                fitted = picture.resize((round(picture.width * scale), round(picture.height * scale)))
            sheet.paste(fitted, (left + (width - fitted.width) // 2, top + (HEIGHT - fitted.height) // 2))
        for place, line in enumerate(lines):
            ink = INK if place == 0 else PALE
            draw.text((left, top + HEIGHT + 4 + place * (TEXT + 3)), line, fill=ink, font=font)
    return sheet


def _picture(path: str) -> Image.Image | None:
    try:
        return as_pillow(path)
    except ImageError:
        return None
