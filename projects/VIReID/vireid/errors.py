"""Errors that a user can mend: shown by the tools as one line, without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something outside the code is wrong. The message names the file, key or argument, what was
    found, what was expected, and what to do.

    Attributes:
        exit_status: of a tool that ends with it.
    """

    exit_status = 2


class ConfigError(UserError):
    """A config key or value is wrong."""


class DatasetError(UserError):
    """A dataset's folder, list or image is missing or malformed."""


class CheckpointError(UserError):
    """A checkpoint cannot be read or does not fit."""


class ImageError(UserError):
    """An image cannot be read, or is of another kind than expected."""


class StoreError(UserError):
    """A gallery's store is missing, damaged, locked, full, unreachable, or of another model."""


class TrainingError(UserError):
    """Training cannot go on (a loss is NaN or infinite)."""


class MachineError(UserError):
    """The machine failed: a disk is full, a folder has vanished, a worker was killed."""

    exit_status = 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question with the known name that is most like ``name``; empty where none is like it."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def choices(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known name most like it, then all of them."""
    known = sorted(known)
    return f"{did_you_mean(name, known)} known: {', '.join(known)}".strip()
