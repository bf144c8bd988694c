"""Images that visitors give: read within limits, and mixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vireid.errors import ConfigError
from vireid.images import decode_image, resized
from vireid.modality import Modality
from vireid.registries import BATCH_TRANSFORM_REGISTRY

MIXER = "PatchMix"  # PMCM's batch transform, where PMCM is installed
PATCH = 16


@dataclass(frozen=True)
class Limits:
    """Limits on what is uploaded, checked before an image's pixels are read.

    Attributes:
        megabytes: of a file.
        megapixels: of an image.
    """

    megabytes: int = 10
    megapixels: int = 25

    def read(self, path: str | Path, name: str) -> Image.Image:
        """Read an image as RGB.

        Args:
            path: of the file.
            name: what its owner calls it, for the error.

        Raises:
            ImageError: it is no image, is damaged, or has too many pixels.
        """
        return decode_image(path, name=name, max_pixels=self.megapixels * 1_000_000)

    def read_upload(self, upload: dict[str, Any]) -> Image.Image:
        """Read an upload that Gradio describes, under the name that its owner gave it; see ``read``."""
        return self.read(upload["path"], upload["orig_name"] or "the image")


def mix_images(
    visible: Image.Image, infrared: Image.Image, share: float, size: Sequence[int], seed: int = 0
) -> Image.Image:
    """Mix two images as PMCM mixes a batch.

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
