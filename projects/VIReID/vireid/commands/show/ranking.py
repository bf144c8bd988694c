"""Draw some queries of a test set with the gallery images that a model ranks first.

The ranking is the one that the results table scores, re-ranked where the config says so. A green frame and a
tick are the query's identity, a red frame and a cross another. Images that the protocol leaves out for a
query are left out here, too. Where none of the first images is right, the nearest right one follows.
"""

import argparse

from vireid.command_line import number_from
from vireid.commands.show.pictures import add_figure_arguments, configured_model, finish

EXAMPLES = """
examples:
  vireid show ranking --config-file pmcm/sysu --output ranking.png \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  the queries of the lowest average precision:
    vireid show ranking --config-file pmcm/sysu --output worst.pdf --show worst \\
        MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is drawn."""
    parser.add_argument("--setting", default="", help="a row of the results table; default: the first")
    parser.add_argument("--queries", type=number_from(1), default=6, metavar="N", help="rows (default 6)")
    parser.add_argument(
        "--top", type=number_from(1), default=10, metavar="K", help="gallery images a row (default 10)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--show",
        choices=("spread", "worst", "best", "random"),
        default="spread",
        help="which queries: spread over all (default), of the worst or best average precision, random",
    )
    which.add_argument(
        "--query", nargs="+", default=[], metavar="PATH", help="these, by the ends of their paths"
    )
    parser.add_argument(
        "--seed", type=number_from(0), default=0, metavar="S", help="of --show random (default 0)"
    )
    add_figure_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Draw, save, and say what is shown."""
    cfg, model = configured_model(args)
    from vireid.visualize.ranking import ranking_picture
    from vireid.visualize.scored import choose_queries, scored_trial

    scored = scored_trial(cfg, model, args.setting)
    rows = choose_queries(scored, args.show, args.queries, seed=args.seed, named=args.query)
    finish(args, ranking_picture(scored, rows.tolist(), args.top))
