#!/usr/bin/env python
"""Train the main rows of SynthVI's small benchmark anew, and compare them with the published table."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from synthvi.ablation.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
