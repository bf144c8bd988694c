#!/usr/bin/env python
"""``vireid show patch-mix`` in a checkout: draw patch-mixed images."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["show", "patch-mix", *sys.argv[1:]]))
