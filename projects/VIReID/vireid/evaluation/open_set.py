"""Open-set identification: is the person of a query in the gallery, and who is it?

Of Phillips, Grother and Micheals (Handbook of Face Recognition, 2005) and ISO/IEC 19795-1: the detection and
identification rate at rank 1, over the rate of false alarms. A query's first answer counts where its score is
above a threshold; below it, the answer is "nobody".
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.arrays import as_float, labels
from vireid.evaluation.metrics import checked_distances
from vireid.evaluation.trials import Trial

FALSE_ALARMS = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and what it gives; rates in 0..1.

    Attributes:
        asked: the rate of false alarms that was asked for.
        threshold: a score above it is an answer.
        false_alarms: the share of the queries of unknown persons that get an answer, at most ``asked``.
        detected: the share of the queries of known persons whose first answer is right and above it.
    """

    asked: float
    threshold: float
    false_alarms: float
    detected: float


def operating_points(
    best: Any, right: Any, unknown: Any, false_alarms: Sequence[float] = FALSE_ALARMS
) -> list[OperatingPoint]:
    """The smallest threshold for each rate of false alarms, and the detection and identification rate there.

    Args:
        best: (K,) score of the first answer to each query of a known person; larger is more alike.
        right: (K,) bool, whether that answer is the person.
        unknown: (U,) score of the first answer to each query of a person who is not in the gallery.
        false_alarms: rates above 0 and below 1.

    Raises:
        UserError: no query of a known person, or too few of unknown ones for a rate.
    """
    best, unknown = (as_float(np.asarray(values)) for values in (best, unknown))
    right = np.asarray(right, dtype=bool)
    if not len(best) or len(right) != len(best):
        raise UserError(
            f"open-set rates: {len(best)} scores and {len(right)} answers of known persons; expected as many "
            "of each, at least one"
        )
    descending = np.sort(unknown)[::-1]
    points = []
    for rate in false_alarms:
        needed = queries_needed(rate)
        if len(unknown) < needed:
            raise UserError(
                f"a false alarm rate of {100 * rate:g} % needs {needed} queries of persons who are not in "
                f"the gallery; there are {len(unknown)}: ask for a larger rate, or give more persons"
            )
        threshold = descending[math.floor(rate * len(unknown) + 1e-9)]
        points.append(
            OperatingPoint(
                rate,
                float(threshold),
                float((unknown > threshold).mean()),
                float((right & (best > threshold)).mean()),
            )
        )
    return points


def queries_needed(rate: float) -> int:
    """How many queries of unknown persons a rate of false alarms needs: enough for one false alarm.

    Raises:
        UserError: no rate above 0 and below 1.
    """
    if not 0 < rate < 1:
        raise UserError(f"a false alarm rate is {rate!r}; expected one above 0 and below 1, such as 0.05")
    return math.ceil(1 / rate - 1e-9)


def open_set_rates(
    dist: Any,
    query_pids: Any,
    gallery_pids: Any,
    *,
    exclude: Any = None,
    false_alarms: Sequence[float] = FALSE_ALARMS,
) -> list[OperatingPoint]:
    """``operating_points`` of a distance matrix; a score is minus a distance.

    A query whose identity is not in the gallery is of an unknown person. One whose matches are all left out
    counts in no rate. Of equal distances, the first in the gallery is the first answer.

    Args:
        dist: (Q, G), smaller is more alike.
        query_pids, gallery_pids: (Q,) and (G,) identities.
        exclude: (Q, G) bool, True where a gallery image is left out for a query.
        false_alarms: as of ``operating_points``.

    Raises:
        UserError: shapes that disagree, a distance that is not finite, too few queries of either kind.
    """
    dist, query_pids, gallery_pids, exclude = checked_distances(dist, query_pids, gallery_pids, exclude)
    if not gallery_pids.size:
        raise UserError("open-set rates: the gallery is empty")
    if exclude is not None:
        dist = np.where(exclude, np.inf, dist)
    first = dist.argmin(axis=1)
    best = -dist[np.arange(len(dist)), first]
    matches = query_pids[:, None] == gallery_pids[None, :]
    known = (matches if exclude is None else matches & ~exclude).any(axis=1)
    right = gallery_pids[first] == query_pids
    return operating_points(best[known], right[known], best[~matches.any(axis=1)], false_alarms)


def open_set_trial(trial: Trial, pids: Any, seed: int) -> Trial:
    """A trial without half of its persons in the gallery.

    Args:
        trial: of a closed set: queries and gallery of the same persons.
        pids: (N,) identities, which the trial's positions index.
        seed: ``random.Random(seed)`` draws the unknown half (rounded down) of the persons who are queries and
            in the gallery.

    Raises:
        UserError: fewer than two such persons.
    """
    pids = labels(pids, "pids")
    persons = np.intersect1d(pids[trial.query], pids[trial.gallery]).tolist()
    if len(persons) < 2:
        raise UserError(f"open-set rates need two persons in queries and gallery; there are {len(persons)}")
    unknown = random.Random(seed).sample(persons, len(persons) // 2)
    stays = ~np.isin(pids[trial.gallery], unknown)
    keys = None if trial.gallery_keys is None else trial.gallery_keys[stays]
    return Trial(trial.query, trial.gallery[stays], trial.query_keys, keys)
