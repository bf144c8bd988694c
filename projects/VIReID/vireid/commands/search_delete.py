"""Delete images from a store, their embeddings included; the files themselves stay."""

import argparse

from vireid.commands.search_arguments import add_conditions, add_store, conditions_of, opened_gallery
from vireid.errors import UserError

EXAMPLES = """
examples:
  what is older than a month:
    vireid search delete --store store --before 2026-01-01
  two files:
    vireid search delete --store store --image photos/1.jpg photos/2.jpg
  images whose files are gone:
    vireid search delete --store store --missing
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store, and which images."""
    add_store(parser)
    parser.add_argument("--image", nargs="+", default=(), metavar="FILE", help="these files")
    parser.add_argument("--missing", action="store_true", help="images whose files are gone")
    add_conditions(parser, "images")


def run(args: argparse.Namespace) -> None:
    """Delete, and say how many."""
    conditions = conditions_of(args)
    with opened_gallery(args) as gallery:
        if args.missing:
            if args.image or any(conditions.values()):
                raise UserError("--missing stands alone; delete by other conditions in a second command")
            count = gallery.delete_missing()
        else:
            count = gallery.delete(args.image, **conditions)
        print(f"{args.store}: {count} images deleted; it has {len(gallery)} now")
