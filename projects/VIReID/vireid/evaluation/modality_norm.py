"""Distances within and across modalities brought to one scale, for galleries that hold both modalities."""

import numpy as np


def normalize_by_modality(
    dist: np.ndarray,
    query_modalities: np.ndarray,
    gallery_modalities: np.ndarray,
    exclude: np.ndarray | None = None,
) -> np.ndarray:
    """Distances that have mean 0 and standard deviation 1 for each pair of modalities.

    The distances of all queries of one modality to all gallery images of one modality are reduced by their
    mean and divided by their standard deviation. So the order among the images of one modality stays.

    Args:
        dist: (Q, G) distances, finite, comparable between queries.
        query_modalities, gallery_modalities: (Q,) and (G,).
        exclude: (Q, G) bool, True where a gallery image is left out for a query: such pairs are in no mean.

    Returns:
        (Q, G) float64.
    """
    normalized = dist.astype(np.float64)
    for asked in np.unique(query_modalities):
        for searched in np.unique(gallery_modalities):
            pair = np.ix_(query_modalities == asked, gallery_modalities == searched)
            values = normalized[pair]
            counted = values if exclude is None else values[~exclude[pair]]
            if counted.size:
                normalized[pair] = (values - counted.mean()) / (counted.std() or 1)
    return normalized
