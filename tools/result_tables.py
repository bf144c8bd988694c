#!/usr/bin/env python
"""Put the tables of SynthVI's results into the pages that show them."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import sys

from synthvi.ablation.readme_tables import main

if __name__ == "__main__":
    sys.exit(main())
