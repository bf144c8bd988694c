#!/usr/bin/env python
"""``vireid splits`` in a checkout: the ten splits of RegDB."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["splits", *sys.argv[1:]]))
