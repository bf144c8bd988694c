"""Verification: deciding by their distance whether two images show one identity."""

from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.metrics import checked_distances

FALSE_RATES = (1e-4, 1e-3, 1e-2)
THRESHOLD = "threshold"


def verification_rates(
    dist: Any,
    query_pids: Any,
    gallery_pids: Any,
    *,
    exclude: Any = None,
    false_rates: tuple[float, ...] = FALSE_RATES,
) -> dict[str, float]:
    """The share of matched pairs that a distance threshold accepts, where it accepts ``false_rate`` of the
    mismatched pairs: TEST.ROC.

    A pair is accepted where its distance is below the threshold, which is the largest that accepts no more
    mismatched pairs. (The toolkit exchanges matched and mismatched pairs.)

    Args:
        dist: (Q, G) float, smaller is more alike.
        query_pids, gallery_pids: (Q,) and (G,) identities.
        exclude: (Q, G) bool, True where a pair is left out.
        false_rates: shares of the mismatched pairs that may be accepted, from 0 to below 1.

    Returns:
        {"TPR@FPR=1e-04": share in 0..1, "threshold@FPR=1e-04": distance, ...}.

    Raises:
        UserError: shapes that disagree, a distance that is not finite, no matched, or no mismatched pair.
    """
    dist, query_pids, gallery_pids, exclude = checked_distances(dist, query_pids, gallery_pids, exclude)
    match = query_pids[:, None] == gallery_pids[None, :]
    allowed = np.ones_like(match) if exclude is None else ~exclude
    return accept_rates(dist[match & allowed], dist[~match & allowed], false_rates)


def accept_rates(
    matched: np.ndarray, mismatched: np.ndarray, false_rates: tuple[float, ...] = FALSE_RATES
) -> dict[str, float]:
    """``verification_rates`` of the (N,) and (M,) distances of matched and mismatched pairs."""
    if not len(matched) or not len(mismatched):
        raise UserError(
            f"verification rates need matched and mismatched pairs; there are {len(matched)} and "
            f"{len(mismatched)}"
        )
    rates = {}
    for false_rate in false_rates:
        accepted = int(false_rate * len(mismatched) + 1e-9)  # 0.29 * 100 is 28.999...
        threshold = np.partition(mismatched, accepted)[accepted]
        rates[f"TPR@FPR={false_rate:.0e}"] = float((matched < threshold).mean())
        rates[f"{THRESHOLD}@FPR={false_rate:.0e}"] = float(threshold)
    return rates
