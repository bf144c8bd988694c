"""Verification rates of a distance matrix: are two images of one identity, yes or no."""

from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.metrics import as_array

FALSE_RATES = (1e-4, 1e-3, 1e-2)


def verification_rates(
    dist: Any,
    query_pids: Any,
    gallery_pids: Any,
    *,
    exclude: Any = None,
    false_rates: tuple[float, ...] = FALSE_RATES,
) -> dict[str, float]:
    """Share of mismatched pairs told apart, where a given share of the matched pairs is told apart too.

    That is the toolkit's definition (TEST.ROC): "positive" is a pair of two identities, scored by its
    distance. The threshold is the distance of a matched pair, so that a false rate below 1 / (number of
    matched pairs) gives 0.

    Args:
        dist: (Q, G).
        query_pids, gallery_pids: (Q,) and (G,).
        exclude: (Q, G) bool, True where a pair is left out.
        false_rates: shares of the matched pairs.

    Returns:
        {"TPR@FPR=1e-04": share in 0..1, ...}.

    Raises:
        UserError: no matched, or no mismatched pair.
    """
    dist, query_pids, gallery_pids = as_array(dist), as_array(query_pids), as_array(gallery_pids)
    match = query_pids[:, None] == gallery_pids[None, :]
    allowed = np.ones_like(match) if exclude is None else ~as_array(exclude)
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
