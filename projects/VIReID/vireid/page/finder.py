"""Searches for the page: a query and filters in, pictures with captions out."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vireid.errors import ImageError
from vireid.inference import Gallery, Match
from vireid.page.uploads import Limits

THUMBNAIL = (192, 256)  # width, height at most
MOST = 100  # results


@dataclass(frozen=True)
class Filters:
    """What is searched for.

    Attributes:
        top: how many results.
        cameras: of one of these; empty: of any.
        after, before: text of a time; empty: any.
        of: "visible" or "infrared" results only; "any": both.
        modality: of the query: "auto", "visible" or "infrared".
    """

    top: int = 12
    cameras: Sequence[str] = ()
    after: str = ""
    before: str = ""
    of: str = "any"
    modality: str = "auto"


@dataclass(frozen=True, eq=False)
class Found:
    """The answer of a search.

    Attributes:
        matches: best first, those alone whose file can be read.
        pictures: of each a thumbnail and a caption.
        said: a line about the search.
    """

    matches: list[Match]
    pictures: list[tuple[Image.Image, str]]
    said: str


class Finder:
    """A gallery behind the page. Several visitors may ask at once; one search runs at a time.

    Args:
        gallery: with its embedder.
        limits: on the gallery's images as well: a store may name any file.
    """

    def __init__(self, gallery: Gallery, limits: Limits) -> None:
        self.gallery, self.limits = gallery, limits
        self._lock = threading.Lock()

    def cameras(self) -> list[str]:
        """List the names of all cameras."""
        with self._lock:
            return [name for name in self.gallery.info()["cameras"] if name != "unknown"]

    def about(self) -> str:
        """Say what the gallery holds."""
        with self._lock:
            info = self.gallery.info()
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(info["modalities"].items()))
        times = f", taken from {info['first']} to {info['last']}" if info.get("first") else ""
        images = f"{info['images']:,} images ({kinds})"
        return f"{images} of {len(self.cameras())} cameras{times}. Model: {info['model']}"

    def find(self, query: Image.Image, filters: Filters) -> Found:
        """Search.

        Raises:
            UserError: a time of another form, or a store that does not answer.
        """
        conditions: dict[str, Any] = {
            "camera": tuple(filters.cameras) or None,
            "after": filters.after.strip() or None,
            "before": filters.before.strip() or None,
            "of": None if filters.of == "any" else filters.of,
        }
        top = min(max(1, int(filters.top)), MOST)
        with self._lock:
            matches = self.gallery.search(query, top, modality=filters.modality, **conditions)
        kept, pictures = [], []
        for match in matches:
            picture = self.thumbnail(match)
            if picture is not None:
                kept.append(match)
                pictures.append((picture, caption(len(kept), match)))
        gone = len(matches) - len(kept)
        if not matches:
            said = "No image of the gallery meets the conditions."
        else:
            said = f"{len(kept)} of {len(self.gallery):,} images, best first. Click one to search by it."
            if gone:
                said += f" {gone} could not be shown: their files are gone or damaged."
        return Found(kept, pictures, said)

    def picture(self, path: str) -> Image.Image:
        """Read an image of the gallery in full.

        Raises:
            ImageError: the gallery has no such image, or its file cannot be read.
        """
        with self._lock:
            known = self.gallery.store.stamps()
        if path not in known:
            raise ImageError("that image is no longer in the gallery; search again")
        return self.limits.read(path, "that image of the gallery")

    def thumbnail(self, match: Match) -> Image.Image | None:
        """Make a small picture of a result; None where its file cannot be read."""
        try:
            picture = self.limits.read(match.path, match.path)
        except ImageError:
            return None
        picture.thumbnail(THUMBNAIL)
        return picture


def caption(rank: int, match: Match) -> str:
    """Write rank, score, camera, identity and time of a result, as far as they are known, a line each."""
    lines = [f"{rank}. score {match.score:.3f}"]
    lines += [f"camera {match.camera}"] if match.camera is not None else []
    lines += [f"id {match.identity}"] if match.identity is not None else []
    lines += [f"{match.time:%Y-%m-%d %H:%M}"] if match.time else []
    return "\n".join(lines)
