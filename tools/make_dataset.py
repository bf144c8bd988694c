#!/usr/bin/env python
"""``vireid data make`` in a checkout: generate a dataset."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["data", "make", *sys.argv[1:]]))
