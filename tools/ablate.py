#!/usr/bin/env python
"""Train the rows of an ablation with several seeds on SynthVI, and tabulate what each is worth."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from synthvi.ablation.ablate import main

if __name__ == "__main__":
    sys.exit(main())
