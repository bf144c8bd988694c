"""Imported first by every tool: finds the packages of this checkout where they are not installed."""

import sys
from pathlib import Path

sys.path[:0] = [
    str(project) for project in sorted((Path(__file__).resolve().parents[1] / "projects").iterdir())
]
