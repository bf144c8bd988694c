"""Find the images of a store that are most like an image.

Scores are cosines of embeddings, from -1 to 1.
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

EXAMPLES = """
examples:
  who is it?
    vireid search query --store store --image night.jpg --top 10
  seen by cameras 1 and 4 on one day, as a picture:
    vireid search query --store store --image night.jpg --camera 1 4 --after 2026-01-31 --before 2026-02-01 \\
        --figure found.png
  for a program:
    vireid search query --store store --image night.jpg --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store, the query, conditions, and what is shown."""
    add_store(parser)
    parser.add_argument("--image", required=True, metavar="FILE", help="the query")
    add_modality(parser, "infrared where the three channels are equal")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="how many are found (default 10)")
    add_conditions(parser, "images")
    parser.add_argument("--of", choices=("visible", "infrared"), help="only images of this modality")
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
        matches = gallery.search(args.image, args.top, modality=args.modality, **asked)
        known = "" if matches else gallery.present(**asked)
    if args.json:
        print(json.dumps([{"rank": n, **match.as_dict()} for n, match in enumerate(matches, 1)], indent=2))
    elif not matches:
        print(f"no image meets the conditions; {known}" if known else "the store holds no images")
    else:
        from tabulate import tabulate

        rows = [
            [n, f"{m.score:.3f}", m.identity or "-", m.camera or "-", m.time or "-", m.modality, m.path]
            for n, m in enumerate(matches, 1)
        ]
        headers = ["rank", "score", "identity", "camera", "time", "modality", "path"]
        print(tabulate(rows, headers, tablefmt="plain", disable_numparse=True))
    if args.figure:
        search_picture(args.image, matches).save(args.figure)
        print(f"drawn: {args.figure}", file=sys.stderr if args.json else sys.stdout)
