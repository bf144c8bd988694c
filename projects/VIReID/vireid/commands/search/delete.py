"""Delete images from a store, their embeddings included; the files themselves stay."""

import argparse

from vireid.commands.search.arguments import add_conditions, add_store, conditions_of, opened_gallery
from vireid.errors import UserError

EXAMPLES = """
examples:
  what is older than a month:
    vireid search delete --store store --before 2026-01-01
  two files:
    vireid search delete --store store --image photos/1.jpg photos/2.jpg
  images whose files are gone:
    vireid search delete --store store --missing
A fifth of a store or more is deleted so only with --insist: their disk may not be mounted.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store, and which images."""
    add_store(parser)
    parser.add_argument("--image", nargs="+", metavar="FILE", help="these files")
    parser.add_argument("--missing", action="store_true", help="images whose files are gone")
    parser.add_argument("--insist", action="store_true", help="with --missing: however many they are")
    add_conditions(parser, "images")


def run(args: argparse.Namespace) -> None:
    """Delete, and say how many."""
    conditions = conditions_of(args)
    with opened_gallery(args) as gallery:
        if args.missing:
            if args.image or any(conditions.values()):
                raise UserError("--missing stands alone; delete by other conditions in a second command")
            count = gallery.delete_missing(insist=args.insist)
        else:
            count = gallery.delete(args.image, **conditions)
        known = "" if count else gallery.present(**conditions)
        print(f"{args.store}: {count} images deleted; it has {len(gallery)} now{known and f' ({known})'}")
