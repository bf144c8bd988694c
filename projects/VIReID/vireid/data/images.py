"""Image files, and images as tensors."""

from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch
from PIL import Image, ImageOps

from vireid.errors import DatasetError

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def read_image(path: str | PathLike[str]) -> Image.Image:
    """The image as 8-bit RGB, turned upright where its EXIF data say so; one channel becomes three.

    Raises:
        DatasetError: missing, empty, truncated, not an image, or not 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"its pixels are not 8 bits a channel (Pillow mode {image.mode})")
            if image.getexif():
                ImageOps.exif_transpose(image, in_place=True)
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise many types for a damaged file
        reason = getattr(error, "strerror", None) or str(error).replace(f" {str(path)!r}", "")
        raise DatasetError(
            f"{path}: the image cannot be read ({reason}); replace it, or train without it by "
            'INPUT.UNREADABLE "skip"'
        ) from error


def image_to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as uint8 (3, H, W), contiguous."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def resized(image: Image.Image, size: Sequence[int], interpolation: str) -> torch.Tensor:
    """An RGB image resized to ``size`` (height, width) by one of FILTERS, as uint8 (3, H, W)."""
    height, width = size
    return image_to_tensor(image.resize((width, height), FILTERS[interpolation]))
