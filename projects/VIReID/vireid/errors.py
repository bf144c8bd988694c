"""Errors that a user can mend: shown by the tools as one line, without a traceback."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class UserError(ValueError):
    """Something outside the code is wrong. The message names the file, key or argument, what was
    found, what was expected, and what to do."""


class ConfigError(UserError):
    """A config key or value is wrong."""


class DatasetError(UserError):
    """A dataset's folder, list or image is missing or malformed."""


class CheckpointError(UserError):
    """A checkpoint cannot be read or does not fit."""


class TrainingError(UserError):
    """Training cannot go on (a loss is NaN or infinite)."""


def nearest(name: str, known: Iterable[str]) -> str:
    """ "did you mean X?" for an unknown name, or nothing where none is like it."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def closest(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the nearest known one, then all of them."""
    known = sorted(known)
    return f"{nearest(name, known)} known: {', '.join(known)}".strip()


def registered(known: Mapping[str, Any], name: str, key: str) -> Any:
    """What a registry holds under a name that the config's ``key`` lists.

    Raises:
        ConfigError: no such name; says the nearest, and all there are.
    """
    if name not in known:
        raise ConfigError(f"{key} has {name!r}; {closest(name, known)}")
    return known[name]
