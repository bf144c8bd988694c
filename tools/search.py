#!/usr/bin/env python
"""``vireid search`` in a checkout: index a gallery, and find who is in an image."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["search", *sys.argv[1:]]))
