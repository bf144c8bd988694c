"""The rates of TEST.ROC beside the figures of an evaluation."""

import numpy as np

from vireid.engine.rerankers import Distance
from vireid.evaluation.protocols import ProtocolResult, Setting
from vireid.evaluation.roc import verification_rates


def with_verification_rates(
    results: dict[str, ProtocolResult], pids: np.ndarray, settings: tuple[Setting, ...], distance: Distance
) -> dict[str, ProtocolResult]:
    """The results with the rates of TEST.ROC beside the metrics, in percent."""
    extended = {}
    for setting in settings:
        rates = []
        for trial in setting.trials:
            labels = pids[trial.query], pids[trial.gallery]
            found = verification_rates(distance(trial, setting), *labels, exclude=trial.exclude())
            rates.append({name: 100 * rate for name, rate in found.items()})
        extended[setting.name] = results[setting.name].extended(rates)
    return extended
