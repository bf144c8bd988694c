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
AUTO = "auto"


@dataclass(frozen=True)
class Filters:
    """What is searched for.

    Attributes:
        top: how many results.
        cameras: of one of these; empty: of any.
        after, before: text of a time; empty: any.
        of: "visible" or "infrared" results only; "any": both.
        modality: of the query: "auto", "visible" or "infrared".
        by: of what each result is the best image: "image", "track" or "identity".
        false_alarms: a rate for which the store has a threshold; "auto": the usual one, if any.
    """

    top: int = 12
    cameras: Sequence[str] = ()
    after: str = ""
    before: str = ""
    of: str = "any"
    modality: str = AUTO
    by: str = "image"
    false_alarms: float | str = AUTO


@dataclass(frozen=True, eq=False)
class Card:
    """A result, with a thumbnail."""

    match: Match
    picture: Image.Image
    caption: str


@dataclass(frozen=True, eq=False)
class Found:
    """The answer of a search.

    Attributes:
        cards: best first, those alone whose file can be read.
        above: how many of them are above the threshold; all where there is none.
        line: the threshold in words.
        said: a line about the search.
    """

    cards: list[Card]
    above: int
    line: str
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

    def rates(self) -> list[float]:
        """List the rates of false alarms for which the store has thresholds."""
        kept = self.gallery.store.calibration.get("thresholds", ())
        return sorted({float(one["asked"]) for one in kept})

    def find(self, query: Sequence[Image.Image], filters: Filters) -> Found:
        """Search by one or several images of a person.

        Raises:
            UserError: a time of another form, or a store that does not answer.
        """
        conditions: dict[str, Any] = {
            "camera": tuple(filters.cameras) or None,
            "after": filters.after.strip() or None,
            "before": filters.before.strip() or None,
            "of": None if filters.of == "any" else filters.of,
            "by": filters.by,
            "false_alarms": None if filters.false_alarms == AUTO else filters.false_alarms,
        }
        top = min(max(1, int(filters.top)), MOST)
        with self._lock:
            answer = self.gallery.answer(query, top, modality=filters.modality, **conditions)
        cards: list[Card] = []
        for match in answer.matches:
            picture = self.thumbnail(match)
            if picture is not None:
                cards.append(Card(match, picture, caption(len(cards) + 1, match)))
        gone = len(answer.matches) - len(cards)
        if not answer.matches:
            said = "No image of the gallery meets the conditions."
        else:
            said = f"{len(cards)} of {len(self.gallery):,} images, best first. Click one to open it."
            if answer.matches[0].nobody:
                said = f"Nobody. {said}"
            if gone:
                said += f" {gone} could not be shown: their files are gone or damaged."
        above = sum(not card.match.nobody for card in cards)
        return Found(cards, above, str(answer.threshold or ""), said)

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
    """Write rank, score, camera, identity, track and time of a result, as far as they are known."""
    lines = [f"{rank}. score {match.score:.3f}"]
    lines += [f"camera {match.camera}"] if match.camera is not None else []
    lines += [f"id {match.identity}"] if match.identity is not None else []
    lines += [f"track {match.track}"] if match.track is not None else []
    lines += [f"{match.time:%Y-%m-%d %H:%M}"] if match.time else []
    return "\n".join(lines)
