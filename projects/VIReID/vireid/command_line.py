"""Arguments of commands, refused before anything is computed."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from vireid.errors import ConfigError

PICTURES = (".png", ".jpg", ".pdf")  # that Pillow writes


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


def output_file(path: str | Path, suffixes: Sequence[str] = (), option: str = "--output") -> Path:
    """A file that will be written; its folder is made.

    Args:
        suffixes: that it may have; (): any.
        option: the argument, for the error.

    Raises:
        ConfigError: another suffix, a folder, or a folder that cannot be made.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ConfigError(f"{option} {path}: expected a name that ends in {', '.join(suffixes)}")
    if path.is_dir():
        raise ConfigError(f"{option} {path} is a folder; name a file in it")
    output_folder(path.parent, option)
    return path


def output_folder(path: str | Path, option: str = "--output") -> Path:
    """A folder that files will be written to; it is made.

    Raises:
        ConfigError: it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{option}: the folder {path} cannot be made ({error.strerror})") from None
    return path
