"""Measure above which score an answer of a store is the person, at rates of false alarms, and keep it there.

The images whose persons are known are queries, once without their person's images in the gallery. A rate of
1 % needs 100 such persons, 5 % needs 20, and 10 % needs 10. `vireid search query` then says who is nobody.
"""

import argparse

from vireid.commands.search.arguments import add_store, opened_gallery

EXAMPLES = """
examples:
  the rates 1, 5 and 10 %, as far as there are persons for them:
    vireid search calibrate --store store
  one rate, with the infrared images of another store as queries:
    vireid search calibrate --store day --queries night --false-alarms 0.02
"""
HEADERS = ["queries", "among", "false alarms", "threshold", "measured", "detected", "persons"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stores and the rates."""
    add_store(parser)
    parser.add_argument(
        "--queries", metavar="STORE", help="whose images are the queries (default: those of --store)"
    )
    parser.add_argument(
        "--false-alarms",
        type=float,
        nargs="+",
        metavar="RATE",
        help="of queries of unknown persons that get an answer (default 0.01 0.05 0.1)",
    )


def run(args: argparse.Namespace) -> None:
    """Measure, keep, and print."""
    from contextlib import ExitStack

    from tabulate import tabulate

    from vireid.inference import Gallery

    with ExitStack() as opened:
        gallery = opened.enter_context(opened_gallery(args))
        queries = opened.enter_context(Gallery.open(args.queries)) if args.queries else None
        found = gallery.calibrate(args.false_alarms, queries)
    rows = [
        [
            one.query,
            one.of,
            f"{100 * one.asked:g} %",
            f"{one.score:.3f}",
            f"{100 * one.false_alarms:.1f} %",
            f"{100 * one.detected:.1f} %",
            one.persons,
        ]
        for one in found
    ]
    print(tabulate(rows, HEADERS, tablefmt="plain", disable_numparse=True))
    print(f"{args.store} keeps these thresholds")
