#!/usr/bin/env python
"""``vireid convert mcja`` in a checkout: convert a checkpoint of the published code."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["convert", "mcja", *sys.argv[1:]]))
