#!/usr/bin/env python
"""``vireid show`` in a checkout: draw a figure."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["show", *sys.argv[1:]]))
