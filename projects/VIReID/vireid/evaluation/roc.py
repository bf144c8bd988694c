"""Verification: deciding by their distance whether two images show one identity."""

from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.metrics import checked_distances

FALSE_RATES = (1e-4, 1e-3, 1e-2)


def verification_rates(
    dist: Any,
    query_pids: Any,
    gallery_pids: Any,
    *,
    exclude: Any = None,
    false_rates: tuple[float, ...] = FALSE_RATES,
) -> dict[str, float]:
    """Shares of the mismatched pairs that a distance threshold separates: the toolkit's TEST.ROC.

    A pair of two identities is a positive, and its distance is its score. A threshold separates a pair
    whose distance reaches it. Each threshold is the distance of a matched pair, chosen so that it
    separates ``false_rate`` of the matched pairs; where that is less than one pair, the share is 0.

    Args:
        dist: (Q, G) float, smaller is more alike.
        query_pids, gallery_pids: (Q,) and (G,) identities.
        exclude: (Q, G) bool, True where a pair is left out.
        false_rates: shares of the matched pairs that may be separated, 0..1.

    Returns:
        {"TPR@FPR=1e-04": share in 0..1, ...}.

    Raises:
        UserError: shapes that disagree, a distance that is not finite, no matched, or no mismatched pair.
    """
    dist, query_pids, gallery_pids, exclude = checked_distances(dist, query_pids, gallery_pids, exclude)
    match = query_pids[:, None] == gallery_pids[None, :]
    allowed = np.ones_like(match) if exclude is None else ~exclude
    matched, mismatched = np.sort(dist[match & allowed])[::-1], dist[~match & allowed]
    if not len(matched) or not len(mismatched):
        raise UserError(
            f"verification rates need matched and mismatched pairs; there are {len(matched)} and "
            f"{len(mismatched)}"
        )
    rates = {}
    possible = np.arange(len(matched) + 1) / len(matched)
    for false_rate in false_rates:
        flagged = int(np.abs(possible - false_rate).argmin())
        told_apart = (mismatched >= matched[flagged - 1]).mean() if flagged else 0.0
        rates[f"TPR@FPR={false_rate:.0e}"] = float(told_apart)
    return rates
