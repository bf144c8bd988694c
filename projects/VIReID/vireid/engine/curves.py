"""Curves of a training: losses, learning rate and metrics of its metrics.json, in one picture."""

import json
import logging
from pathlib import Path

from fastreid.engine.train_loop import HookBase

logger = logging.getLogger("fastreid.vireid.curves")

FILE = "curves.png"
FEW = 30  # values, each of which gets a dot
Curve = list[tuple[int, float]]  # (iteration, value)


class Curves(HookBase):
    """Draws the curves at the end of a training, however it ends.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def after_train(self) -> None:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            logger.info(f'{FILE} is not drawn: matplotlib is not installed (pip install ".[plots]")')
            return
        panels = read_curves(self.folder / "metrics.json")
        if any(panels.values()):
            draw_curves(panels, self.folder / FILE)
            logger.info(f"Curves of losses, learning rate and metrics: {self.folder / FILE}")


def read_curves(path: Path) -> dict[str, dict[str, Curve]]:
    """Panel -> name -> (iteration, value) of each logged value: losses, learning rate, and Rank-1 and mAP of
    each row of the results table.

    Args:
        path: a run's metrics.json. After a resume it may have an iteration twice, of which the last counts.
    """
    panels: dict[str, dict[str, dict[int, float]]] = {"loss": {}, "learning rate": {}, "percent": {}}
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        values = json.loads(line)
        iteration = values.pop("iteration")
        for name, value in values.items():
            panel = panel_of(name)
            if panel:
                panels[panel].setdefault(name, {})[iteration] = value
    return {
        panel: {name: sorted(curve.items()) for name, curve in curves.items()}
        for panel, curves in panels.items()
    }


def panel_of(name: str) -> str:
    """Where a value of metrics.json is drawn; "" for nowhere."""
    if name == "lr":
        return "learning rate"
    if "loss" in name:
        return "loss"
    return "percent" if name.rpartition("/")[2] in ("Rank-1", "mAP") else ""


def draw_curves(panels: dict[str, dict[str, Curve]], path: Path) -> None:
    """Draw the panels below each other, over the iterations."""
    from matplotlib.figure import Figure

    shown = {panel: curves for panel, curves in panels.items() if curves}
    figure = Figure(figsize=(10, 3.2 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (panel, curves) in zip(axes, shown.items()):
        for number, (name, curve) in enumerate(curves.items()):
            style = ("-", "--", ":", "-.")[number % 4]  # neighbours differ in gray, too
            marker = "o" if len(curve) <= FEW else ""
            axis.plot(*zip(*curve), style, marker=marker, markersize=3, label=name)
        axis.set_ylabel(panel)
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7)
    axes[-1].set_xlabel("iteration")
    figure.savefig(path, dpi=110)
