"""The test images that some trial uses: only those are extracted."""

from dataclasses import replace

import numpy as np

from vireid.evaluation.protocols import Setting, Trial


def used_positions(settings: tuple[Setting, ...]) -> np.ndarray:
    """Ascending positions of the test images that some trial uses: only those are extracted."""
    trials = [trial for setting in settings for trial in setting.trials]
    return np.unique(np.concatenate([part for trial in trials for part in (trial.query, trial.gallery)]))


def renumbered(settings: tuple[Setting, ...], used: np.ndarray) -> tuple[Setting, ...]:
    """The settings with positions that index the images of ``used`` instead of all test images."""

    def renumber(trial: Trial) -> Trial:
        query, gallery = (np.searchsorted(used, part) for part in (trial.query, trial.gallery))
        return Trial(query, gallery, trial.query_keys, trial.gallery_keys)

    return tuple(replace(setting, trials=tuple(map(renumber, setting.trials))) for setting in settings)
