"""Types of command-line arguments, for commands of every package."""

import argparse
from collections.abc import Callable


def number_from(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of ``least`` or more."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return value

    return number


def share(text: str) -> float:
    """The type of an argument from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def config_name(text: str) -> str:
    """The type of an argument that names a config: of an empty one, the toolkit would take its defaults."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; expected a file, or a name such as pmcm/sysu")
    return text
