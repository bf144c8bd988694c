"""Scores of two modalities brought to one scale, for galleries that hold both."""

import numpy as np


def normalize_by_modality(dist: np.ndarray, own: np.ndarray, exclude: np.ndarray | None = None) -> np.ndarray:
    """Distances of which each query has the same mean and spread to the gallery images of either modality.

    For each query, its distances to the images of its own modality are reduced by their mean and divided by
    their standard deviation, and so are those to the images of the other one. Where there is no spread, they
    are only reduced by their mean. The order among the images of one modality stays.

    Args:
        dist: (Q, G) distances, finite.
        own: (Q, G) bool, True where both images are of one modality.
        exclude: (Q, G) bool, True where a gallery image is left out for a query: it is in no mean.

    Returns:
        (Q, G) float64.
    """
    dist = dist.astype(np.float64)
    normalized = np.zeros_like(dist)
    for side in (own, ~own):
        counted = side if exclude is None else side & ~exclude
        number = np.maximum(counted.sum(axis=1, keepdims=True), 1)
        mean = np.where(counted, dist, 0).sum(axis=1, keepdims=True) / number
        spread = np.sqrt(np.where(counted, (dist - mean) ** 2, 0).sum(axis=1, keepdims=True) / number)
        normalized = np.where(side, (dist - mean) / np.where(spread > 0, spread, 1), normalized)
    return normalized
