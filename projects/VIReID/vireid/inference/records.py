"""What a store keeps of an image, what it is asked for, and what it answers."""

import datetime
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

from vireid.errors import UserError
from vireid.image_names import camera_name
from vireid.inference.inputs import MODALITIES

EPOCH = datetime.datetime(1970, 1, 1)

Time = str | datetime.date  # of which datetime.datetime is one
Names = str | int | PathLike[str] | Iterable[str | int | PathLike[str]]


@dataclass(frozen=True)
class Entry:
    """An image of a gallery.

    Attributes:
        path: of its file, absolute; a store has one entry for a path.
        identity, camera: None where unknown.
        time: when it was taken, in the time of its camera; None where unknown.
        modality: "visible" or "infrared".
        stamp: changes when the file does.
        track: of one person passing one camera; None where unknown.
    """

    path: str
    identity: str | None = None
    camera: str | None = None
    time: datetime.datetime | None = None
    modality: str = "visible"
    stamp: str = ""
    track: str | None = None


@dataclass(frozen=True)
class Match:
    """An image that a search found.

    Attributes:
        score: the cosine of the two embeddings, -1 to 1.
        nobody: the score is not above the store's threshold; None where it has none.
        others: as of ``Entry``.
    """

    score: float
    path: str
    identity: str | None
    camera: str | None
    time: datetime.datetime | None
    modality: str
    track: str | None = None
    nobody: bool | None = None

    @classmethod
    def of(cls, entry: Entry, score: float) -> "Match":
        """An image of a store that was found."""
        known = {name: value for name, value in vars(entry).items() if name != "stamp"}
        return cls(score, **known)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the time as text."""
        time = self.time.isoformat(sep=" ") if self.time else None
        return {**vars(self), "score": round(self.score, 6), "time": time}


@dataclass(frozen=True)
class Where:
    """Which images are meant: those that meet every condition that is given, and all where none is.

    An image whose time is not known meets no condition on the time.

    Attributes:
        cameras, identities, modalities, paths, tracks: one of them each; no image meets an empty one.
        after: this time or later.
        before: earlier than this time.
    """

    cameras: tuple[str, ...] | None = None
    identities: tuple[str, ...] | None = None
    modalities: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    after: datetime.datetime | None = None
    before: datetime.datetime | None = None
    tracks: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        """Whether there is a condition."""
        return any(value is not None for value in vars(self).values())

    def names(self) -> dict[str, tuple[str, ...]]:
        """What is given of each list of names, by the attribute of ``Entry``."""
        asked = {
            "camera": self.cameras,
            "identity": self.identities,
            "modality": self.modalities,
            "path": self.paths,
            "track": self.tracks,
        }
        return {name: values for name, values in asked.items() if values is not None}

    def parts(self, count: int) -> "list[Where]":
        """Conditions of at most so many paths each, of which an image meets one where it meets this one."""
        if self.paths is None or len(self.paths) <= count:
            return [self]
        starts = range(0, len(self.paths), count)
        return [replace(self, paths=self.paths[start : start + count]) for start in starts]

    def times(self) -> list[tuple[str, int]]:
        """What is given of the times: how an image's seconds compare with which others."""
        asked = ((">=", self.after), ("<", self.before))
        return [(sign, seconds(time)) for sign, time in asked if time is not None]


EVERYTHING = Where()


@dataclass(frozen=True)
class About:
    """Whose embeddings a store holds.

    Attributes:
        fingerprint: of the model.
        dimension: of its embeddings.
        model: its name.
        source: what opens it again, see ``Embedder.source``, as JSON.
        probe: by modality, its embedding of a fixed image, ``packed``.
    """

    fingerprint: str
    dimension: int
    model: str = ""
    source: str = "{}"
    probe: dict[str, str] = field(default_factory=dict)


def seconds(time: datetime.datetime) -> int:
    """A time as whole seconds since 1970, without a zone."""
    return int((time - EPOCH).total_seconds())


def from_seconds(value: int) -> datetime.datetime:
    """The reverse of ``seconds``."""
    return EPOCH + datetime.timedelta(seconds=value)


def parse_time(text: str, name: str) -> datetime.datetime:
    """A date, or a date and a time, in ISO 8601; a zone is refused, because the cameras' times have none.

    Args:
        name: the argument or column, for the error.

    Raises:
        UserError: another form.
    """
    try:
        time = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is not None:
        raise UserError(f"{name} is {text!r}; expected a time such as 2026-01-31 or 2026-01-31T18:30:00")
    return time.replace(microsecond=0)


def conditions(
    *,
    camera: Names | None = None,
    identity: Names | None = None,
    after: Time | None = None,
    before: Time | None = None,
    of: str | None = None,
    paths: Names | None = None,
) -> Where:
    """A condition from what a person writes.

    Raises:
        UserError: a time of another form, an unknown modality, or an empty name.
    """
    if of is not None and of not in MODALITIES:
        raise UserError(f"of is {of!r}; expected visible or infrared")
    cameras, files = as_names(camera, "camera"), as_names(paths, "paths")
    return Where(
        cameras=None if cameras is None else tuple(map(camera_name, cameras)),
        identities=as_names(identity, "identity"),
        modalities=(of,) if of else None,
        paths=None if files is None else tuple(real_paths(files)),
        after=as_time(after, "after"),
        before=as_time(before, "before"),
    )


def as_time(time: Time | None, name: str) -> datetime.datetime | None:
    """A time, or its text in ISO 8601; see ``parse_time``."""
    if time is None:
        return None
    return parse_time(time if isinstance(time, str) else time.isoformat(), name)


def as_names(names: Names | None, argument: str) -> tuple[str, ...] | None:
    """One name or several; None where nothing is asked for.

    Raises:
        UserError: a name is empty; says of which argument.
    """
    if names is None:
        return None
    found = (str(names),) if isinstance(names, (str, int, PathLike)) else tuple(map(str, names))
    if "" in found:
        raise UserError(f"{argument} holds an empty name; leave it out, or name one")
    return found


def real_paths(paths: Iterable[str | PathLike[str]]) -> list[str]:
    """The absolute paths of files, by which a store knows them: links to folders are followed, so that an
    image has one path; the file itself keeps its name, which may be that of a link into a cache.
    """
    folders: dict[str, str] = {}
    found = []
    for path in paths:
        folder, name = os.path.split(os.path.abspath(path))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        found.append(os.path.join(folders[folder], name))
    return found
