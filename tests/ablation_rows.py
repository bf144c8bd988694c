"""Two rows of an ablation that nothing but a setting tells apart, and their runs."""

from pathlib import Path

from configs import PROJECTS
from synthvi.ablation.rows import plan_rows
from synthvi.ablation.suites import SuiteRow
from synthvi.ablation.versions import Versions

CONFIG = str(PROJECTS / "VIReID" / "configs" / "demo.yml")
PLAIN = SuiteRow("plain", CONFIG)
GAMMA = SuiteRow("gamma", CONFIG, ("SOLVER.GAMMA", "0.5"))


def planned(*rows, seeds=2, code="code", data="data", work="work"):
    """The runs of some rows, with seeds from 0."""
    return plan_rows(rows, seeds, Path(work), Versions(code, data))
