"""Add image files to a store, or replace those of the same path: all or none of them."""

import argparse

from vireid.commands.search.arguments import add_modality, add_model, add_store, gallery_with_model

EXAMPLES = """
example:
  vireid search add --store store --image today/1.jpg today/2.jpg --camera gate --time 2026-01-31T18:30
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store, the files, and what is known of them."""
    add_store(parser)
    parser.add_argument("--image", required=True, nargs="+", metavar="FILE", help="the files")
    add_modality(parser, "what a name says, else as the image looks")
    parser.add_argument("--identity", metavar="P", help="of all of them (default: what a name says)")
    parser.add_argument("--camera", metavar="C", help="of all of them (default: what a name says)")
    parser.add_argument("--time", metavar="TIME", help="of all of them, such as 2026-01-31T18:30")
    add_model(parser, "needed where the one that filled the store is elsewhere now")


def run(args: argparse.Namespace) -> None:
    """Add, and say how many."""
    with gallery_with_model(args) as gallery:
        count = gallery.add(
            args.image, modality=args.modality, identity=args.identity, camera=args.camera, time=args.time
        )
        print(f"{args.store}: {count} images added; it has {len(gallery)} now")
