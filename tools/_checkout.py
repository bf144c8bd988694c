"""Imported first by every tool: finds the packages of this checkout where they are not installed."""

import os
import sys
from pathlib import Path

# Before torch is imported: threads that wait sleep. Spinning, they slow a busy machine tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

sys.path[:0] = [
    str(project) for project in sorted((Path(__file__).resolve().parents[1] / "projects").iterdir())
]
