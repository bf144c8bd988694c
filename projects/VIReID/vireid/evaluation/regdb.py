"""The RegDB protocol (Ye et al., AAAI 2018): all images of one modality query those of the other."""

from typing import Any

import numpy as np

from vireid.evaluation.arrays import labels_of_images, require_both_modalities
from vireid.evaluation.trials import Setting, Trial
from vireid.modality import Modality


def regdb_settings(pids: Any, modalities: Any) -> tuple[Setting, Setting]:
    """Both directions of one split, one trial each; the CMC counts images.

    Args:
        pids, modalities: (N,) of the split's test images.

    Raises:
        UserError: not as many of each, or no visible or infrared images.
    """
    _, modalities = labels_of_images(pids=pids, modalities=modalities)
    require_both_modalities(modalities)
    visible = np.flatnonzero(modalities == Modality.VISIBLE).astype(np.int64)
    infrared = np.flatnonzero(modalities == Modality.INFRARED).astype(np.int64)
    return (
        Setting("visible-to-infrared", (Trial(visible, infrared),), unique_pids=False, direction="v2i"),
        Setting("infrared-to-visible", (Trial(infrared, visible),), unique_pids=False, direction="i2v"),
    )
