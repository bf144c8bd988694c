"""Tracks: several images of one person by one camera, scored as one."""

from typing import Any

import numpy as np
import torch

from vireid.errors import UserError
from vireid.evaluation.arrays import as_array, whole_numbers
from vireid.evaluation.features import as_features, unit_rows


def strip_positions(count: int, frames: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Frames of a track, one from each of as many strips of it, as the released code of HITSZ-VCM takes them.

    A strip has ceil(count / frames) frames. A strip beyond the end of the track gives the last frame.

    Args:
        count: frames of the track, 1 or more.
        frames: how many are taken.
        rng: draws a frame of each strip, as in training; None takes the first of each, as in a test.

    Returns:
        (frames,) int64 positions in 0..count - 1, ascending; the last one may repeat.
    """
    length = -(-count // frames)
    within = 0 if rng is None else rng.integers(length, size=frames)
    return np.minimum(np.arange(frames) * length + within, count - 1)


def mean_of_tracks(features: Any, tracks: Any) -> torch.Tensor:
    """The mean of the unit embeddings of each track.

    Args:
        features: (N, D), of any scale.
        tracks: (N,) whole numbers; rows of one number are averaged.

    Returns:
        (T, D) in ascending order of the tracks, not normalized.

    Raises:
        UserError: not as many of each.
    """
    features = as_features(features)
    numbers, rows = np.unique(_of(tracks, len(features), "features"), return_inverse=True)
    index = torch.from_numpy(rows.ravel()).to(features.device)
    total = features.new_zeros(len(numbers), features.shape[1]).index_add_(0, index, unit_rows(features))
    return total / torch.bincount(index, minlength=len(numbers))[:, None]


def best_of_tracks(dist: Any, query_tracks: Any, gallery_tracks: Any) -> np.ndarray:
    """The smallest distance between an image of one track and an image of another.

    Args:
        dist: (Q, G), smaller is more alike.
        query_tracks, gallery_tracks: (Q,) and (G,) whole numbers; those of one number are a track.

    Returns:
        (query tracks, gallery tracks), both ascending.

    Raises:
        UserError: not as many of each, or none.
    """
    dist = as_array(dist, "dist")
    for axis, (name, tracks) in enumerate((("query", query_tracks), ("gallery", gallery_tracks))):
        numbers = _of(tracks, dist.shape[axis], f"{name} distances")
        order = np.argsort(numbers, kind="stable")
        starts = np.flatnonzero(np.diff(numbers[order], prepend=numbers[order[:1]] - 1))
        dist = np.minimum.reduceat(dist.take(order, axis=axis), starts, axis=axis)
    return dist


def _of(tracks: Any, count: int, what: str) -> np.ndarray:
    numbers = whole_numbers(tracks, "tracks")
    if len(numbers) != count or not count:
        raise UserError(
            f"{count} {what} and {len(numbers)} tracks: there must be as many of each, at least one"
        )
    return numbers
