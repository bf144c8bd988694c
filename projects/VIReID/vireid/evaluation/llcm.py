"""The LLCM protocol (Zhang and Wang, CVPR 2023): one random gallery image per identity and camera."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.arrays import (
    labels_of_images,
    person_camera_keys,
    require_both_modalities,
    require_trials,
)
from vireid.evaluation.trials import Setting, Trial
from vireid.modality import Modality

# The visible to infrared of the released code, whose table many papers cite.
AS_RELEASED = "visible-to-infrared as released"


def llcm_settings(
    pids: Any, camids: Any, modalities: Any, numbers: Any, trials: int = 10
) -> tuple[Setting, ...]:
    """Infrared to visible, and visible to infrared as described and as released.

    As the paper describes it, all visible images query drawn infrared images. The released code, and so the
    table that came with it, scores the transposed distances: drawn infrared images query all visible
    images. Images of the query's identity and camera are left out.

    Args:
        pids, camids, modalities: (N,) of the test images.
        numbers: (N,) image numbers or file names, which order the images of an identity and camera.
        trials: draws of one image for each identity and camera, each with ``random.seed(trial)``: identities
            ascending, for each its cameras ascending, ``random.choice`` of the sorted images.

    Raises:
        ConfigError: fewer than one trial.
        UserError: not as many of each, or no visible or infrared images.
    """
    require_trials(trials)
    pids, camids, modalities = labels_of_images(pids=pids, camids=camids, modalities=modalities)
    require_both_modalities(modalities)
    numbers = np.asarray(numbers).ravel()
    if len(numbers) != len(pids):
        raise UserError(f"{len(pids)} pids and {len(numbers)} numbers: there must be as many of each")
    _, rank = np.unique(numbers, return_inverse=True)
    order = np.lexsort((rank.ravel(), camids, pids)).astype(np.int64)
    visible = order[modalities[order] == Modality.VISIBLE]
    infrared = order[modalities[order] == Modality.INFRARED]
    keys = person_camera_keys(pids, camids)
    drawn_visible, drawn_infrared = (
        [_draw(images, keys, trial) for trial in range(trials)] for images in (visible, infrared)
    )

    def setting(
        name: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]], direction: str, side: str
    ) -> Setting:
        drawn = tuple(Trial(query, gallery, keys[query], keys[gallery]) for query, gallery in pairs)
        return Setting(
            name, drawn, unique_pids=True, direction=direction, draw=f"{side} by random.seed(trial)"
        )

    return (
        setting("infrared-to-visible", ((infrared, drawn) for drawn in drawn_visible), "i2v", "gallery"),
        setting("visible-to-infrared", ((visible, drawn) for drawn in drawn_infrared), "v2i", "gallery"),
        setting(AS_RELEASED, ((drawn, visible) for drawn in drawn_infrared), "i2v", "queries"),
    )


def _draw(images: np.ndarray, keys: np.ndarray, seed: int) -> np.ndarray:
    """One of each run of sorted images with the same identity and camera."""
    generator = random.Random(seed)
    starts = np.flatnonzero(np.diff(keys[images], prepend=-1)) if len(images) else np.zeros(0, dtype=np.int64)
    groups = np.split(images, starts[1:])
    return np.array([generator.choice(group.tolist()) for group in groups if len(group)], dtype=np.int64)
