"""Say what a store holds, by which model, and how it is searched."""

import argparse
import json

from vireid.commands.search.arguments import add_store, opened_gallery

EXAMPLES = """
example:
  vireid search info --store store
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store."""
    add_store(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Print a line for each thing that is known."""
    with opened_gallery(args) as gallery:
        info = gallery.info()
    if args.json:
        print(json.dumps(info, indent=2))
        return
    for name, value in info.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {count:,}" for key, count in value.items()) or "none"
        elif isinstance(value, int):
            value = f"{value:,}"
        print(f"{name.replace('_', ' '):14}{value}")
