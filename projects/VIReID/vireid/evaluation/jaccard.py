"""Jaccard distances of k-reciprocal neighbours: the toolkit's re-ranking."""

from typing import Any

import numpy as np

from vireid.errors import ConfigError
from vireid.evaluation.arrays import is_integer
from vireid.evaluation.features import stack_features
from vireid.evaluation.neighbours import neighbour_lists
from vireid.evaluation.reciprocal import neighbour_weights, reciprocal_sets
from vireid.evaluation.sparse_rows import jaccard_distance, mean_rows


def k_reciprocal_jaccard(query: Any, gallery: Any, k1: int = 20, k2: int = 6) -> np.ndarray:
    """Jaccard distances of k-reciprocal sets (Zhong et al., CVPR 2017), as the toolkit defines them.

    Equal to the rows of the queries and columns of the gallery in the toolkit's
    compute_jaccard_distance: lists of k1 entries, the item itself included; half lists of
    round(k1 / 2) + 1; weights softmax(-squared distance). Memory grows with (Q + G) x k1 x k2.

    Args:
        query, gallery: (Q, D) and (G, D) arrays or tensors, L2-normalized by the caller.
        k1: neighbours that sets are made of.
        k2: neighbours whose sets are averaged, at most k1 of them; 1 leaves the sets as they are.

    Returns:
        (Q, G) float32.

    Raises:
        ConfigError: k1 or k2 out of range.
        UserError: shapes that disagree, features that are not finite.
    """
    features, (num_queries, _) = stack_features({"query": query, "gallery": gallery})
    for name, value in (("k1", k1), ("k2", k2)):
        if not is_integer(value) or not 1 <= value <= len(features):
            raise ConfigError(
                f"{name} is {value}; it must be in 1..{len(features)}, the number of images in "
                "query and gallery"
            )
    lists = neighbour_lists(features, k1)
    sets = reciprocal_sets(features.cpu().numpy(), lists, half=min(k1, int(np.around(k1 / 2)) + 1))
    rows = neighbour_weights(sets)
    if k2 > 1:
        rows = mean_rows(rows, lists[:, :k2], len(features))
    return jaccard_distance(rows[:num_queries], rows[num_queries:], len(features))
