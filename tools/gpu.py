#!/usr/bin/env python
"""Check this project on a machine with a CUDA GPU, in eight minutes."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from synthvi.gpu_check.command import main

if __name__ == "__main__":
    sys.exit(main())
