#!/usr/bin/env python
"""Train or evaluate a model, with the arguments of the toolkit's own tool: ``vireid train``."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
