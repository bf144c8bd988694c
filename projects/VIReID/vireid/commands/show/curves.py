"""Draw the training curves of one or several runs: losses, learning rate, and metrics."""

import argparse
from pathlib import Path

from vireid.commands.show.pictures import add_output

EXAMPLES = """
examples:
  vireid show curves --output curves.pdf logs/sysu/pmcm
  vireid show curves --output runs.png logs/sysu/agw logs/sysu/pmcm logs/sysu/mcja
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="output folders of trainings")
    add_output(parser)


def run(args: argparse.Namespace) -> None:
    """Read, draw."""
    from vireid import engine  # noqa: F401  (mends the toolkit, which the next ones import)
    from vireid.engine.curves import draw_curves
    from vireid.visualize.curves import curves_of_runs
    from vireid.visualize.style import check_figure_path, require

    path = check_figure_path(args.output)
    require("matplotlib")
    draw_curves(curves_of_runs(args.runs), path)
    print(f"{path}: {', '.join(map(str, args.runs))}")
