"""Draw how the parts work together, and where each method plugs in: docs/architecture.png."""

import argparse
from pathlib import Path

from vireid.errors import ConfigError

EXAMPLES = """
example:
  vireid show architecture --output architecture.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file."""
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="such as a .png or .svg")


def run(args: argparse.Namespace) -> None:
    """Draw."""
    from vireid.visualize.architecture import draw_architecture
    from vireid.visualize.style import check_figure_path

    check_figure_path(args.output)
    try:
        draw_architecture(args.output)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'vireid show architecture needs matplotlib ({error}): pip install ".[plots]"'
        ) from None
    print(args.output)
