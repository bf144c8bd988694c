"""Arguments that commands share."""

import argparse
from pathlib import Path

from vireid.command_line import config_name, number_from

RUNS_INTERRUPTED = "; the same command goes on from the last checkpoints"


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


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every set of runs takes: its config, folder, epoch, number at a time and settings."""
    parser.add_argument(
        "--config-file", type=config_name, required=True, metavar="CONFIG", help="what is trained"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a folder for each run")
    parser.add_argument(
        "--epoch",
        choices=("last", "best"),
        default="last",
        help="which epoch the table has (default last); the best is chosen on the test set",
    )
    parser.add_argument(
        "--jobs", type=number_from(1), default=1, metavar="N", help="runs at a time (default 1)"
    )
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY VALUE", help="settings of all runs")
