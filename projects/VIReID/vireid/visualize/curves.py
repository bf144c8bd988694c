"""Training curves of one run, all of them; or of several runs, those that compare them."""

from collections.abc import Sequence
from pathlib import Path

from vireid.engine.curves import Curve, read_curves
from vireid.errors import UserError

METRICS = "metrics.json"


def curves_of_runs(runs: Sequence[Path]) -> dict[str, dict[str, Curve]]:
    """What ``draw_curves`` draws of some runs.

    Args:
        runs: output folders of trainings.

    Returns:
        Of one run see ``read_curves``. Of several: "total loss", "learning rate", and Rank-1 and mAP of the
        first row of the results table -> run -> curve.

    Raises:
        UserError: a folder without metrics.json, or with an empty one.
    """
    found = {}
    for name, run in zip(run_names(runs), runs):
        panels = read_curves(run / METRICS)
        if not any(panels.values()):
            raise UserError(f"{run}: no {METRICS} with values in it; name the output folder of a training")
        found[name] = panels
    if len(runs) == 1:
        return next(iter(found.values()))
    compared: dict[str, dict[str, Curve]] = {}
    for name, panels in found.items():
        compared.setdefault("total loss", {})[name] = panels["loss"].get("total_loss", [])
        compared.setdefault("learning rate", {})[name] = panels["learning rate"].get("lr", [])
        for metric in ("Rank-1", "mAP"):
            rows = [row for row in panels["percent"] if row.endswith(f"/{metric}")]
            if rows:
                compared.setdefault(f"{metric}, %", {})[name] = panels["percent"][rows[0]]
    return {
        panel: {name: curve for name, curve in curves.items() if curve} for panel, curves in compared.items()
    }


def run_names(runs: Sequence[Path]) -> list[str]:
    """The last part of each folder's path; as many parts as tell them apart."""
    parts = [run.absolute().parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(some[-count:]) for some in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{runs[0]} is named twice")
