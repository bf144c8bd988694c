"""Image files, and images as tensors."""

import io
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

# How a file of each accepted format begins. Pillow reads no others: some of
# them start programs (EPS).
FORMATS = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "BMP": b"BM"}
# What else is met in the place of an image.
OTHERS = {
    "PostScript": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "PDF": (b"%PDF",),
    "GIF": (b"GIF8",),
    "TIFF": (b"II*\0", b"MM\0*"),
    "WebP or another RIFF file": (b"RIFF",),
    "a ZIP archive": (b"PK\x03\x04",),
    "a Git LFS pointer, not the image itself": (b"version https://git-lfs",),
    "a web page": (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML"),
}

REPLACE = "replace it"  # what to do about an image that cannot be read


def read_image(path: str | PathLike[str], advice: str = REPLACE) -> Image.Image:
    """The image as 8-bit RGB, turned upright where its EXIF data say so; one channel becomes three.

    Args:
        advice: the end of the error's message: what to do about a file that cannot be read.

    Raises:
        DatasetError: missing, empty, truncated, not of FORMATS, or not 8 bits a channel.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        with open_image(content) as image:
            if image.getexif():
                ImageOps.exif_transpose(image, in_place=True)
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise many types for a damaged file
        raise unreadable(path, error, advice) from error


def open_image(content: bytes) -> Image.Image:
    """The image in the bytes of a file, of which Pillow has read the header.

    Raises:
        ValueError: empty, not of FORMATS, or not 8 bits a channel; Pillow's own errors for a damaged header.
    """
    check_format(content)
    image = Image.open(io.BytesIO(content), formats=tuple(FORMATS))
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its pixels are not 8 bits a channel (Pillow mode {image.mode})")
    return image


def check_format(content: bytes) -> str:
    """Which of FORMATS a file has whose first bytes are ``content``.

    Raises:
        ValueError: none of them; says what it is.
    """
    for name, start in FORMATS.items():
        if content.startswith(start):
            return name
    if not content:
        raise ValueError("it is empty")
    found = next((name for name, starts in OTHERS.items() if content.startswith(starts)), "")
    found = found or f"no image: it begins with {content[:12]!r}"
    raise ValueError(f"it is {found}; accepted are {', '.join(FORMATS)}")


def unreadable(path: str | PathLike[str], error: Exception, advice: str = REPLACE) -> DatasetError:
    """The one line that says which file cannot be read, why, and what to do."""
    reason = getattr(error, "strerror", None) or str(error).partition(" <_io")[0]
    return DatasetError(f"{path}: the image cannot be read ({reason}); {advice}")


def image_to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as uint8 (3, H, W), contiguous."""
    pixels = np.asarray(image)
    planes = np.empty((3, *pixels.shape[:2]), np.uint8)
    for channel in range(3):  # a third of the time of one transposed copy
        planes[channel] = pixels[..., channel]
    return torch.from_numpy(planes)


def resized(image: Image.Image, size: Sequence[int], interpolation: str) -> torch.Tensor:
    """An RGB image resized to ``size`` (height, width) by one of FILTERS, as uint8 (3, H, W)."""
    height, width = size
    gray = _gray_channel(image)
    smaller = (image if gray is None else gray).resize((width, height), FILTERS[interpolation])
    if gray is None:
        return image_to_tensor(smaller)
    return torch.from_numpy(np.array(smaller)).repeat(3, 1, 1)


def _gray_channel(image: Image.Image) -> Image.Image | None:
    """The one channel of an image whose three are equal, as in most infrared images: resizing it takes a
    third of the time and gives the same pixels."""
    red = image.getchannel(0)
    pixels = red.tobytes()
    return red if all(pixels == image.getchannel(other).tobytes() for other in (1, 2)) else None
