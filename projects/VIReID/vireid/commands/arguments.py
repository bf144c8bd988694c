"""Arguments that commands share, and the command line of a child process."""

import argparse
import os
import sys

from vireid.command_line import config_name


def add_config_arguments(parser: argparse.ArgumentParser, what: str = "the config of the model") -> None:
    """Add ``--config-file`` and, as the last arguments, settings of it."""
    parser.add_argument(
        "--config-file",
        type=config_name,
        required=True,
        metavar="CONFIG",
        help=f"{what}: a file, or a name such as pmcm/sysu",
    )
    parser.add_argument(
        "opts",
        nargs=argparse.REMAINDER,
        metavar="KEY VALUE",
        help="settings, which replace those of the config",
    )


def vireid_command(*words: object) -> list[str]:
    """What runs ``vireid`` with these words in a process of its own."""
    return [sys.executable, "-m", "vireid", *map(str, words)]


def child_environment(**variables: str) -> dict[str, str]:
    """The environment of such a process: it finds the packages that this one finds, installed or not."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, **variables}
