"""Image files, and images as tensors."""

import io
from collections.abc import Sequence
from os import PathLike
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps

from vireid.errors import DatasetError, ImageError
from vireid.files import open_regular, refuse_machine_fault

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# The mean over the pixels of (largest - smallest channel), of 255. Gray pictures saved as JPEG in color
# stay below the first, pictures of a scene in daylight are above the second.
GRAY, COLORED = 2.0, 12.0

# How a file of each accepted format begins. Pillow reads no others: some of them start programs (EPS).
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

LEAST_SIDE = 4  # pixels
REPLACE = "replace it"  # what to do about an image that cannot be read


def read_image(path: str | PathLike[str], advice: str = REPLACE) -> Image.Image:
    """An image of a dataset, see ``decode_image``.

    Args:
        advice: the end of the error's message: what to do about a file that cannot be read.

    Raises:
        DatasetError: see ``decode_image``.
    """
    try:
        return decode_image(path)
    except ImageError as error:
        raise DatasetError(f"{error}; {advice}") from error.__cause__


def decode_image(
    file: str | PathLike[str] | IO[bytes], *, name: str = "", max_pixels: int = 0
) -> Image.Image:
    """The image as 8-bit RGB, turned upright where its EXIF data say so; one channel becomes three.

    Args:
        file: a path, or an open file.
        name: of the file in an error; its path by default.
        max_pixels: a larger image is refused before its pixels are read; 0: Pillow's limit, 179 million.

    Raises:
        ImageError: missing, empty, truncated, not of FORMATS, or what ``as_rgb`` refuses.
        MachineError: the machine cannot read it now: too little memory, too many open files, a broken disk.
    """
    try:
        if isinstance(file, str | PathLike):
            with open_regular(file) as opened:
                content = opened.read()
        else:
            content = file.read()
        with open_image(content) as image:
            if max_pixels and image.width * image.height > max_pixels:
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels; at most {max_pixels:,} are read"
                )
            if image.getexif():
                ImageOps.exif_transpose(image, in_place=True)
            return as_rgb(image)
    except Exception as error:  # Pillow's decoders raise many types for a damaged file
        refuse_machine_fault(error, name or file)
        raise ImageError(f"{name or file}: {_reason(error)}") from error


def as_rgb(image: Image.Image) -> Image.Image:
    """An image as 8-bit RGB.

    Raises:
        ValueError: its channels have other bits, a side is shorter than LEAST_SIDE, or a part is transparent:
            its hidden colors would count.
    """
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its pixels are not 8 bits a channel (Pillow mode {image.mode})")
    if min(image.size) < LEAST_SIDE:
        raise ValueError(
            f"it has {image.width} x {image.height} pixels; expected {LEAST_SIDE} or more on each side"
        )
    if image.has_transparency_data:
        alpha = image.getbands()[-1]
        opaque = image.getchannel(alpha) if alpha in "Aa" else image.convert("RGBA").getchannel("A")
        if opaque.getextrema()[0] != 255:
            raise ValueError("parts of it are transparent; save it on a background, without transparency")
    return image.convert("RGB")


def open_image(content: bytes) -> Image.Image:
    """The image in the bytes of a file, of which Pillow has read the header.

    Raises:
        ValueError: empty, not of FORMATS, or not 8 bits a channel; Pillow's own errors for a damaged header.
    """
    kind = check_format(content)
    if kind == "PNG" and content[24:25] == b"\x10":  # Pillow cuts most of them to 8 bits
        raise ValueError("its pixels are not 8 bits a channel, but 16; convert it, by a rule of your own")
    return Image.open(io.BytesIO(content), formats=tuple(FORMATS))


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
    return DatasetError(f"{path}: {_reason(error)}; {advice}")


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error).partition(" <_io")[0]
    return f"the image cannot be read ({reason})"


def image_to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as uint8 (3, H, W), contiguous."""
    pixels = np.asarray(image)
    planes = np.empty((3, *pixels.shape[:2]), np.uint8)
    for channel in range(3):  # a third of the time of one transposed copy
        planes[channel] = pixels[..., channel]
    return torch.from_numpy(planes)


def resize_image(image: Image.Image, size: Sequence[int], interpolation: str) -> Image.Image:
    """An image resized to ``size`` (height, width) by one of FILTERS."""
    height, width = size
    return image.resize((width, height), FILTERS[interpolation])


def resized(image: Image.Image, size: Sequence[int], interpolation: str) -> torch.Tensor:
    """An RGB image resized to ``size`` (height, width) by one of FILTERS, as uint8 (3, H, W)."""
    gray = _gray_channel(image)
    if gray is None:
        return image_to_tensor(resize_image(image, size, interpolation))
    return torch.from_numpy(np.array(resize_image(gray, size, interpolation))).repeat(3, 1, 1)


def _gray_channel(image: Image.Image) -> Image.Image | None:
    """The one channel of an image whose three are equal, as in most infrared images: resizing it takes a
    third of the time and gives the same pixels."""
    red = image.getchannel(0)
    pixels = red.tobytes()
    return red if all(pixels == image.getchannel(other).tobytes() for other in (1, 2)) else None


def colorfulness(pixels: np.ndarray) -> float:
    """Mean difference of the largest and the smallest channel of (H, W, 3) uint8; 0 where all are equal."""
    return float(np.mean(pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)))


def looks_infrared(images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) of any type, in 0..255 -> (N,) bool on the host: whether the three channels are so equal
    that their mean difference is below GRAY, as ``colorfulness`` has it."""
    spread = images.amax(dim=1).float() - images.amin(dim=1)
    return (spread.mean(dim=(1, 2)) < GRAY).cpu()
