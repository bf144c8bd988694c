"""Two rows of an ablation that nothing but a setting tells apart, and their runs."""

from configs import PROJECTS, all_keys
from vireid.ablation.runs import Versions, plan_runs
from vireid.ablation.suites import Row
from vireid.engine import merge_config

CONFIG = str(PROJECTS / "VIReID" / "configs" / "demo.yml")
PLAIN = Row("plain", CONFIG)
GAMMA = Row("gamma", CONFIG, ("SOLVER.GAMMA", "0.5"))


def configure(file, options):
    """The config of a row, on top of the defaults."""
    cfg = all_keys()
    merge_config(cfg, file, options)
    return cfg


def planned(*rows, seeds=2, code="code", data="data"):
    """The runs of some rows, with seeds from 0."""
    return plan_runs(rows, seeds, configure, Versions(code, data))
