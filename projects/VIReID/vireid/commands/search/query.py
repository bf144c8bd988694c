"""Find the images of a store that are most like an image, or several of one person, or nobody.

Scores are cosines of embeddings, from -1 to 1. Several images are searched for by their mean embedding. After
vireid search calibrate, answers that are not above its threshold are marked: nobody.
"""

import argparse
import json
import sys

from vireid.commands.search.arguments import (
    add_conditions,
    add_modality,
    add_model,
    add_store,
    conditions_of,
    gallery_with_model,
)
from vireid.files import PICTURES, output_file

COLUMNS = ("identity", "camera", "track", "time", "modality", "path")
BY = ("image", "track", "identity")  # as of vireid.inference.queries

EXAMPLES = """
examples:
  who is it?
    vireid search query --store store --image night.jpg --top 10
  seen by cameras 1 and 4 on one day, as a picture:
    vireid search query --store store --image night.jpg --camera 1 4 --after 2026-01-31 --before 2026-02-01 \\
        --figure found.png
  a track: several images of one person, each person once
    vireid search query --store store --image night/1.jpg night/2.jpg --by identity --false-alarms 0.01
  for a program:
    vireid search query --store store --image night.jpg --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store, the query, conditions, and what is shown."""
    add_store(parser)
    parser.add_argument(
        "--image",
        required=True,
        nargs="+",
        metavar="FILE",
        help="the query: an image, several of one person, a folder of them, or a track of the store",
    )
    add_modality(parser, "infrared where the three channels are equal")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="how many are found (default 10)")
    add_conditions(parser, "images")
    parser.add_argument("--of", choices=("visible", "infrared"), help="only images of this modality")
    parser.add_argument(
        "--by", choices=BY, default="image", help="answer with the best image of each (default image)"
    )
    parser.add_argument(
        "--false-alarms",
        type=float,
        metavar="RATE",
        help="mark as nobody what is below the threshold of this rate, of vireid search calibrate (default "
        "0.05, where the store has it)",
    )
    parser.add_argument("--figure", metavar="FILE.png", help="draw them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model(parser, "needed where the one that filled the store is elsewhere now")


def run(args: argparse.Namespace) -> None:
    """Search, print, draw."""
    from vireid.inference.picture import search_picture

    if args.figure:
        output_file(args.figure, PICTURES)
    asked = {**conditions_of(args), "of": args.of}
    with gallery_with_model(args) as gallery:
        image = args.image[0] if len(args.image) == 1 else args.image
        found = gallery.answer(
            image,
            args.top,
            modality=args.modality,
            by=args.by,
            false_alarms=args.false_alarms,
            **asked,
        )
        matches = found.matches
        known = "" if matches else gallery.present(**asked)
    if args.json:
        print(json.dumps([{"rank": n, **match.as_dict()} for n, match in enumerate(matches, 1)], indent=2))
    elif not matches:
        print(f"no image meets the conditions; {known}" if known else "the store holds no images")
    else:
        from tabulate import tabulate

        rows = [
            ["nobody" if m.nobody else n, f"{m.score:.3f}", *(getattr(m, name) or "-" for name in COLUMNS)]
            for n, m in enumerate(matches, 1)
        ]
        print(tabulate(rows, ["rank", "score", *COLUMNS], tablefmt="plain", disable_numparse=True))
        if found.threshold:
            print(found.threshold)
    if args.figure:
        search_picture(found.query.first, matches).save(args.figure)
        print(f"drawn: {args.figure}", file=sys.stderr if args.json else sys.stdout)
