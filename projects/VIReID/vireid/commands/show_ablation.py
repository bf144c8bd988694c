"""Draw the table of an ablation: differences with their intervals, or curves over a setting."""

import argparse
from pathlib import Path

from vireid.commands.show.pictures import add_output, finish

EXAMPLES = """
example:
  vireid show ablation --output parts.pdf projects/SynthVI/results/small/tables/pmcm-test.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which table."""
    parser.add_argument("table", type=Path, metavar="TABLE.json", help="a table that tools/ablate.py wrote")
    add_output(parser)


def run(args: argparse.Namespace) -> None:
    """Read, draw."""
    from vireid.ablation.tables import read_table
    from vireid.visualize.ablation import ablation_figure
    from vireid.visualize.style import check_figure_path

    check_figure_path(args.output)
    finish(args, ablation_figure(read_table(args.table)))
