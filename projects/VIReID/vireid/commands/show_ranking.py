"""Draw some queries of a test set with the gallery images that a model ranks first.

The ranking is the one that the results table scores, re-ranked where the config says so. A green frame and a
tick are the query's identity, a red frame and a cross another. Images that the protocol leaves out for a
query are left out here, too. Where none of the first images is right, the nearest right one follows.
"""

import argparse
import logging
from pathlib import Path

from vireid.commands.arguments import add_config_arguments

EXAMPLES = """
example:
  vireid show ranking --config-file pmcm/sysu --output ranking.png \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is drawn."""
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where the picture goes")
    parser.add_argument("--setting", default="", help="a row of the results table; default: the first")
    parser.add_argument("--queries", type=int, default=6, metavar="N", help="rows (default 6)")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="gallery images a row (default 10)")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Draw, save, and say what is shown."""
    from vireid.engine import full_config, load_for_evaluation
    from vireid.engine.checks import check_config
    from vireid.visualize.ranking import ranking_picture

    logging.basicConfig(level=logging.WARNING)
    cfg = full_config(args.config_file, args.opts)
    check_config(cfg)
    picture, shown = ranking_picture(
        cfg, load_for_evaluation(cfg), setting_name=args.setting, queries=args.queries, top=args.top
    )
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    picture.save(args.output)
    print(f"{args.output}: {shown}")
