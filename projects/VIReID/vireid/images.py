"""Image files, and images as tensors."""

from collections.abc import Sequence
from os import PathLike
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps

from vireid.errors import DatasetError, ImageError

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# The mean over the pixels of (largest - smallest channel), of 255. Gray pictures saved as JPEG in color
# stay below the first, pictures of a scene in daylight are above the second.
GRAY, COLORED = 2.0, 12.0


def read_image(path: str | PathLike[str]) -> Image.Image:
    """An image of a dataset, see ``decode_image``.

    Raises:
        DatasetError: missing, empty, truncated, not an image, or not 8 bits a channel.
    """
    try:
        return decode_image(path)
    except ImageError as error:
        raise DatasetError(
            f'{error}; replace it, or train without it by INPUT.UNREADABLE "skip"'
        ) from error.__cause__


def decode_image(
    file: str | PathLike[str] | IO[bytes], *, name: str = "", max_pixels: int = 0
) -> Image.Image:
    """The image as 8-bit RGB, turned upright where its EXIF data say so; one channel becomes three.

    Args:
        file: a path, or an open file.
        name: of the file in an error; its path by default.
        max_pixels: a larger image is refused before its pixels are read; 0: Pillow's limit, 179 million.

    Raises:
        ImageError: missing, empty, truncated, not an image, too large, or not 8 bits a channel.
    """
    name = name or str(file)
    try:
        with Image.open(file) as image:
            if max_pixels and image.width * image.height > max_pixels:
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels; at most {max_pixels:,} are read"
                )
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"its pixels are not 8 bits a channel (Pillow mode {image.mode})")
            if image.getexif():
                ImageOps.exif_transpose(image, in_place=True)
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise many types for a damaged file
        reason = getattr(error, "strerror", None) or str(error).replace(f" {str(file)!r}", "")
        raise ImageError(f"{name}: the image cannot be read ({reason})") from error


def image_to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as uint8 (3, H, W), contiguous."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def resize_image(image: Image.Image, size: Sequence[int], interpolation: str) -> Image.Image:
    """An RGB image resized to ``size`` (height, width) by one of FILTERS."""
    height, width = size
    return image.resize((width, height), FILTERS[interpolation])


def resized(image: Image.Image, size: Sequence[int], interpolation: str) -> torch.Tensor:
    """The same as uint8 (3, H, W)."""
    return image_to_tensor(resize_image(image, size, interpolation))


def colorfulness(pixels: np.ndarray) -> float:
    """Mean difference of the largest and the smallest channel of (H, W, 3) uint8; 0 where all are equal."""
    return float(np.mean(pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)))
