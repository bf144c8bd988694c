"""TEST.OPEN_SET: the rates of open-set search in each row of the results."""

from collections.abc import Sequence

import numpy as np
from yacs.config import CfgNode

from vireid.engine.rerankers import Distance
from vireid.errors import UserError
from vireid.evaluation.open_set import OperatingPoint, open_set_rates, open_set_trial
from vireid.evaluation.trials import Setting


def open_set_points(
    cfg: CfgNode, pids: np.ndarray, settings: tuple[Setting, ...], distance: Distance
) -> dict[str, list[list[OperatingPoint]]]:
    """Setting -> trial -> a point for each rate of TEST.OPEN_SET; half of the trial's persons are unknown.

    Raises:
        UserError: too few queries of unknown persons; names the setting.
    """
    points: dict[str, list[list[OperatingPoint]]] = {}
    for setting in settings if cfg.TEST.OPEN_SET else ():
        points[setting.name] = of_trials = []
        for seed, trial in enumerate(setting.trials):
            try:
                halved = open_set_trial(trial, pids, seed)
                found = pids[halved.query], pids[halved.gallery]
                dist = distance(halved, setting)
                rates = cfg.TEST.OPEN_SET
                of_trials.append(open_set_rates(dist, *found, exclude=halved.exclude(), false_alarms=rates))
            except UserError as error:
                raise UserError(f'TEST.OPEN_SET, setting "{setting.name}": {error}') from None
    return points


def detection_rates(points: Sequence[OperatingPoint]) -> dict[str, float]:
    """The detection and identification rates in percent, as the columns of the table name them."""
    return {f"DIR@FAR={100 * point.asked:g}%": 100 * point.detected for point in points}
