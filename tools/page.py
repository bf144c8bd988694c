#!/usr/bin/env python
"""``vireid page`` in a checkout: the page in the browser."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["page", *sys.argv[1:]]))
