"""The LLCM protocol (Zhang and Wang, CVPR 2023): one random gallery image per identity and camera."""

import random
from typing import Any

import numpy as np

from vireid.errors import ConfigError
from vireid.evaluation.metrics import as_array
from vireid.evaluation.protocols import Setting, Trial
from vireid.modality import Modality


def llcm_settings(
    pids: Any,
    camids: Any,
    modalities: Any,
    numbers: Any,
    trials: int = 10,
    released_v2i: bool = False,
) -> tuple[Setting, Setting]:
    """Both directions; images of the query's identity and camera are left out.

    Args:
        pids, camids, modalities: (N,) of the test images.
        numbers: (N,) image numbers or file names, which order the images of an identity and camera.
        trials: gallery draws, each with ``random.seed(trial)``: identities ascending, for each its
            cameras ascending, ``random.choice`` of the sorted images.
        released_v2i: visible to infrared as the released code scores it, the drawn infrared images
            as queries and all visible images as gallery.

    Raises:
        ConfigError: fewer than one trial.
    """
    if trials < 1:
        raise ConfigError(f"trials is {trials}; it must be at least 1")
    pids, camids, modalities = as_array(pids).ravel(), as_array(camids).ravel(), as_array(modalities).ravel()
    _, rank = np.unique(np.asarray(numbers).ravel(), return_inverse=True)
    order = np.lexsort((rank.ravel(), camids, pids)).astype(np.int64)
    visible = order[modalities[order] == Modality.VISIBLE]
    infrared = order[modalities[order] == Modality.INFRARED]
    keys = pids.astype(np.int64) * (int(camids.max(initial=0)) + 1) + camids

    def trial(query: np.ndarray, gallery: np.ndarray) -> Trial:
        return Trial(query, gallery, keys[query], keys[gallery])

    to_visible = tuple(trial(infrared, _draw(visible, keys, t)) for t in range(trials))
    if released_v2i:
        name = "visible-to-infrared (released code)"
        to_infrared = tuple(trial(_draw(infrared, keys, t), visible) for t in range(trials))
    else:
        name = "visible-to-infrared"
        to_infrared = tuple(trial(visible, _draw(infrared, keys, t)) for t in range(trials))
    return (
        Setting("infrared-to-visible", to_visible, unique_pids=True, direction="i2v"),
        Setting(name, to_infrared, unique_pids=True, direction="i2v" if released_v2i else "v2i"),
    )


def _draw(images: np.ndarray, keys: np.ndarray, seed: int) -> np.ndarray:
    """One of each run of sorted images with the same identity and camera."""
    generator = random.Random(seed)
    starts = np.flatnonzero(np.diff(keys[images], prepend=-1)) if len(images) else np.zeros(0, dtype=np.int64)
    groups = np.split(images, starts[1:])
    return np.array([generator.choice(group) for group in groups if len(group)], dtype=np.int64)
