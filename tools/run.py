#!/usr/bin/env python
"""Run ``vireid`` from a checkout, installed or not: ``python tools/run.py data check --dataset SYSUMM01``."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from vireid.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
