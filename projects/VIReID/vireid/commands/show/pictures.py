"""What the commands that draw figures share: their arguments, the model, and the file."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vireid.command_line import number_from
from vireid.commands.arguments import add_config_arguments

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image
    from torch import nn
    from yacs.config import CfgNode


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``."""
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="the figure: .png, .svg or .pdf by its name"
    )


def add_figure_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--output`` and, as the last arguments, the config of the model."""
    add_output(parser)
    add_config_arguments(parser)


def add_image_arguments(parser: argparse.ArgumentParser, identities: int | None) -> None:
    """Add which images of which set are drawn.

    Args:
        identities: the default number; None: all.
    """
    parser.add_argument("--subset", choices=("test", "train"), default="test", help="default: test")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--identities",
        type=number_from(1),
        default=identities,
        metavar="N",
        help=f"how many, drawn at random (default {identities or 'all'})",
    )
    which.add_argument("--pids", type=int, nargs="+", default=[], metavar="ID", help="these identities")
    parser.add_argument(
        "--seed", type=number_from(0), default=0, metavar="S", help="of all draws (default 0)"
    )


def configured_model(args: argparse.Namespace) -> "tuple[CfgNode, nn.Module]":
    """The checked config and its model, after the name of the output was checked."""
    from vireid.engine import full_config, load_for_evaluation
    from vireid.engine.checks import check_config
    from vireid.visualize.style import check_figure_path

    logging.basicConfig(level=logging.WARNING)
    check_figure_path(args.output)
    cfg = full_config(args.config_file, args.opts)
    check_config(cfg)
    return cfg, load_for_evaluation(cfg)


def finish(args: argparse.Namespace, drawn: "tuple[Figure | Image, str]") -> None:
    """Write the figure, and say what it shows."""
    from vireid.visualize.style import save

    figure, shown = drawn
    save(figure, Path(args.output))
    print(f"{args.output}: {shown}")


def chosen_images(args: argparse.Namespace) -> dict[str, Any]:
    """The values of ``add_image_arguments`` as arguments of ``embedded_images``."""
    return {
        "subset": args.subset,
        "identities": args.identities,
        "pids": tuple(args.pids),
        "seed": args.seed,
    }
