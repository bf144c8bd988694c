#!/usr/bin/env python
"""``vireid sweep`` in a checkout: train a config with several settings and seeds."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))
