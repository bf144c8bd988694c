"""What a store keeps of an image, what it is asked for, and what it answers."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vireid.errors import UserError
from vireid.inference.inputs import MODALITIES

EPOCH = datetime.datetime(1970, 1, 1)

Time = str | datetime.date  # of which datetime.datetime is one
Names = str | Sequence[str]


@dataclass(frozen=True)
class Entry:
    """An image of a gallery.

    Attributes:
        path: of its file, absolute; a store has one entry for a path.
        identity, camera: None where unknown.
        time: when it was taken, in the time of its camera; None where unknown.
        modality: "visible" or "infrared".
        stamp: changes when the file does.
    """

    path: str
    identity: str | None = None
    camera: str | None = None
    time: datetime.datetime | None = None
    modality: str = "visible"
    stamp: str = ""


@dataclass(frozen=True)
class Match:
    """An image that a search found.

    Attributes:
        score: the cosine of the two embeddings, -1 to 1.
    """

    score: float
    path: str
    identity: str | None
    camera: str | None
    time: datetime.datetime | None
    modality: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the time as text."""
        time = self.time.isoformat(sep=" ") if self.time else None
        return {**vars(self), "score": round(self.score, 6), "time": time}


@dataclass(frozen=True)
class Where:
    """Which images are meant: those that meet every condition that is given.

    An image whose time is not known meets no condition on the time.

    Attributes:
        cameras, identities, paths, modalities: one of them each.
        after: this time or later.
        before: earlier than this time.
    """

    cameras: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    after: datetime.datetime | None = None
    before: datetime.datetime | None = None

    def __bool__(self) -> bool:
        """Whether there is a condition."""
        return any(value not in ((), None) for value in vars(self).values())


EVERYTHING = Where()


@dataclass(frozen=True)
class About:
    """Whose embeddings a store holds.

    Attributes:
        fingerprint: of the model.
        dimension: of its embeddings.
        model: its name.
        source: what opens it again, see ``Embedder.source``, as JSON.
    """

    fingerprint: str
    dimension: int
    model: str = ""
    source: str = "{}"


def seconds(time: datetime.datetime | None) -> int | None:
    """A time as whole seconds since 1970, without a zone."""
    return None if time is None else int((time - EPOCH).total_seconds())


def from_seconds(value: int | None) -> datetime.datetime | None:
    """The reverse of ``seconds``."""
    return None if value is None else EPOCH + datetime.timedelta(seconds=value)


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
    camera: Names = (),
    identity: Names = (),
    after: Time | None = None,
    before: Time | None = None,
    of: str | None = None,
    paths: Names = (),
) -> Where:
    """A condition from what a person writes.

    Raises:
        UserError: a time of another form, or an unknown modality.
    """
    if of is not None and of not in MODALITIES:
        raise UserError(f"of is {of!r}; expected visible or infrared")
    return Where(
        cameras=as_names(camera),
        identities=as_names(identity),
        modalities=(of,) if of else (),
        paths=as_names(paths),
        after=as_time(after, "after"),
        before=as_time(before, "before"),
    )


def as_time(time: Time | None, name: str) -> datetime.datetime | None:
    """A time, or its text in ISO 8601; see ``parse_time``."""
    if time is None:
        return None
    return parse_time(time if isinstance(time, str) else time.isoformat(), name)


def as_names(names: Names) -> tuple[str, ...]:
    """One name or several."""
    return (names,) if isinstance(names, str) else tuple(map(str, names))
