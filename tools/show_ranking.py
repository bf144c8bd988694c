#!/usr/bin/env python
"""``vireid show ranking`` in a checkout: draw ranked lists."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["show", "ranking", *sys.argv[1:]]))
