#!/usr/bin/env python
"""``vireid info`` in a checkout: what a model is made of and costs."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["info", *sys.argv[1:]]))
