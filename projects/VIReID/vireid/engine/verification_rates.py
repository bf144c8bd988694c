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
        rows = []
        for trial, metrics in zip(setting.trials, results[setting.name].trials):
            labels = pids[trial.query], pids[trial.gallery]
            rates = verification_rates(distance(trial, setting), *labels, exclude=trial.exclude())
            rows.append({**metrics, **{name: 100 * rate for name, rate in rates.items()}})
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        mean = {name: float(np.mean(values)) for name, values in columns.items()}
        std = {name: float(np.std(values)) for name, values in columns.items()}
        extended[setting.name] = ProtocolResult(mean, std, rows)
    return extended
