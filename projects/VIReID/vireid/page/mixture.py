"""Mixing two images as PMCM mixes a batch, wherever a method registers that."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from vireid.errors import ConfigError
from vireid.images import resized
from vireid.modality import Modality
from vireid.registries import BATCH_TRANSFORM_REGISTRY

MIXER = "PatchMix"
PATCH = 16


def mix_images(
    visible: Image.Image, infrared: Image.Image, share: float, size: Sequence[int], seed: int = 0
) -> Image.Image:
    """One image of the patches of two.

    Args:
        visible, infrared: RGB, of any sizes.
        share: of visible patches, 0..1.
        size: (height, width) of the mixture; rounded to whole patches of 16 pixels.
        seed: of the patches that are drawn.

    Raises:
        ConfigError: no method that mixes images is installed.
    """
    if MIXER not in BATCH_TRANSFORM_REGISTRY:
        raise ConfigError(f"no installed method registers the batch transform {MIXER}, which mixes images")
    whole = [max(PATCH, round(side / PATCH) * PATCH) for side in size]
    batch = {
        "images": torch.stack([resized(image, whole, "bicubic") for image in (visible, infrared)]),
        "targets": torch.zeros(2, dtype=torch.int64),
        "camids": torch.zeros(2, dtype=torch.int64),
        "modalities": torch.tensor([int(Modality.VISIBLE), int(Modality.INFRARED)]),
    }
    mixer = BATCH_TRANSFORM_REGISTRY[MIXER](float(share), PATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mixed = mixer(batch)["images"][-1]
    return Image.fromarray(np.ascontiguousarray(mixed.permute(1, 2, 0).numpy()))
