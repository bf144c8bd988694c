"""Draw the table of an ablation: differences with their intervals, or curves over a setting."""

import argparse
from pathlib import Path

EXAMPLES = """
example:
  vireid show ablation --output parts.pdf projects/SynthVI/results/small/tables/pmcm-test.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the table and the picture."""
    parser.add_argument("table", type=Path, metavar="TABLE.json", help="a table that tools/ablate.py wrote")
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="the picture: .png, .svg or .pdf by its name"
    )


def run(args: argparse.Namespace) -> None:
    """Read, draw."""
    from synthvi.ablation.plots import write_plot
    from synthvi.ablation.suite_tables import read_table

    write_plot(read_table(args.table), args.output)
