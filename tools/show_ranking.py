#!/usr/bin/env python
"""Draw some queries of a test set with the gallery images that a model ranks first.

The ranking is the one that the results table scores, re-ranked where the config says so. A green frame is the
query's identity, a red one another; images that the protocol leaves out for a query are left out here too.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import logging
import sys
from pathlib import Path

EXAMPLE = """
example:
  python tools/show_ranking.py --config-file projects/PMCM/configs/sysu.yml --output ranking.png \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def main() -> int:
    """Draw and save; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="the config of the model")
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where the picture goes")
    parser.add_argument("--setting", default="", help="a row of the results table; default: the first")
    parser.add_argument("--queries", type=int, default=6, metavar="N", help="rows (default 6)")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="gallery images a row (default 10)")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config options: KEY VALUE ...")
    args = parser.parse_args()

    from vireid.errors import UserError

    try:
        draw(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def draw(args: argparse.Namespace) -> None:
    """Draw, save, and say what is shown."""
    from _configurations import full_config
    from vireid.engine import load_for_evaluation
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


if __name__ == "__main__":
    sys.exit(main())
