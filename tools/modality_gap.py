#!/usr/bin/env python
"""Train a small network on the colors, the brightness or the gradients of images alone."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from synthvi.ablation.modality_gap import main

if __name__ == "__main__":
    sys.exit(main())
