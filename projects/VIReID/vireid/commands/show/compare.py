"""Compare two models query by query: which queries got better, which worse, and the lists of both.

The ranking is the one that the results table scores, the first trial of a setting.
"""

import argparse
from pathlib import Path

from vireid.command_line import number_from
from vireid.commands.show.pictures import add_figure_arguments, configured_model, finish

EXAMPLES = """
example:
  vireid show compare --output compare.png --config-file vireid/sysu --other-config-file pmcm/sysu \\
      --other-weights logs/sysu/pmcm/model_best.pth MODEL.WEIGHTS logs/sysu/agw/model_best.pth

Settings at the end of the line are those of both models.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Both models, and what is drawn."""
    parser.add_argument("--other-weights", required=True, metavar="FILE", help="of the second model")
    parser.add_argument("--other-config-file", metavar="CONFIG", help="its config (default: the same)")
    parser.add_argument("--names", nargs=2, metavar=("FIRST", "SECOND"), help="default: the folders' names")
    parser.add_argument("--setting", default="", help="a row of the results table; default: the first")
    parser.add_argument(
        "--queries", type=number_from(1), default=2, metavar="N", help="lists of each kind (default 2)"
    )
    parser.add_argument(
        "--top", type=number_from(1), default=8, metavar="K", help="gallery images a row (default 8)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a line for each query")
    add_figure_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Rank with both, compare, draw."""
    from vireid.engine import full_config, load_for_evaluation
    from vireid.engine.checks import check_config

    second = full_config(args.other_config_file or args.config_file, args.opts)
    second.MODEL.WEIGHTS = args.other_weights
    check_config(second)
    cfg, model = configured_model(args)
    from vireid.visualize.comparison import comparison_figure, write_changes
    from vireid.visualize.scored import scored_trial

    trials = (
        scored_trial(cfg, model, args.setting),
        scored_trial(second, load_for_evaluation(second), args.setting),
    )
    names = tuple(args.names or _names(cfg.MODEL.WEIGHTS, args.other_weights))
    drawn = comparison_figure(*trials, names, queries=args.queries, top=args.top)
    if args.csv:
        write_changes(*trials, args.csv)
    finish(args, drawn)


def _names(first: str, second: str) -> tuple[str, str]:
    """The names of the weights' folders, or of the files where those are the same."""
    paths = Path(first or "untrained"), Path(second)
    by_folder = [path.absolute().parent.name if path.name != "untrained" else path.name for path in paths]
    return tuple(by_folder) if by_folder[0] != by_folder[1] else (paths[0].stem, paths[1].stem)  # type: ignore[return-value]
