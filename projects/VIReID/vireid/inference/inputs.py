"""Images as they are given (paths, Pillow images, arrays, tensors), made ready for a network."""

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from vireid.errors import ImageError
from vireid.images import COLORED, GRAY, as_rgb, colorfulness, decode_image, resize_image
from vireid.modality import AUTO, MODALITIES, Modality, one_modality_each  # noqa: F401 (also had from here)
from vireid.preprocessing import Preprocessing

# A crop of a person has ten thousand pixels, a frame of a camera ten million.
MAX_PIXELS = 64_000_000
EXIF_FOLDER, EXIF_TAKEN = 0x8769, 0x9003

AnyImage = str | PathLike[str] | Image.Image | np.ndarray | torch.Tensor


@dataclass(frozen=True, eq=False)
class Ready:
    """An image that a network can take, or why it cannot.

    Attributes:
        pixels: (H, W, 3) uint8.
        modality: as said, or found.
        contradiction: the image looks like one of the other modality.
        taken: when, by its EXIF data.
        fault: empty where the image was read.
    """

    pixels: np.ndarray
    modality: Modality
    contradiction: bool = False
    taken: datetime.datetime | None = None
    fault: str = ""


def one_by_one(images: AnyImage | Iterable[AnyImage]) -> Iterator[AnyImage]:
    """Each of the images; a single one, too."""
    if isinstance(images, (str, PathLike, Image.Image)):
        yield images
    elif isinstance(images, (np.ndarray, torch.Tensor)):
        yield from [images] if images.ndim < 4 else list(images)
    else:
        yield from images


def image_name(image: AnyImage) -> str:
    """What a message calls an image."""
    return str(image) if isinstance(image, (str, PathLike)) else f"an image given as {type(image).__name__}"


def make_ready(image: AnyImage, modality: str, preprocessing: Preprocessing) -> Ready:
    """Read and resize an image, and look at its colors.

    Args:
        image: see ``as_pillow``.
        modality: "visible", "infrared", or "auto": infrared where the mean difference of the largest and the
            smallest channel is below GRAY, so that three equal channels saved as JPEG count as equal.
        preprocessing: of the network.
    """
    try:
        picture = as_pillow(image)
    except ImageError as error:
        return Ready(np.empty(0), Modality.VISIBLE, fault=str(error))
    color = colorfulness(np.asarray(picture))
    if modality == AUTO:
        kind, contradiction = (Modality.INFRARED if color < GRAY else Modality.VISIBLE), False
    else:
        kind = MODALITIES[modality]
        contradiction = color > COLORED if kind == Modality.INFRARED else color < GRAY
    pixels = np.asarray(resize_image(picture, preprocessing.size, preprocessing.interpolation))
    return Ready(pixels, kind, contradiction, time_taken(picture))


def as_pillow(image: AnyImage) -> Image.Image:
    """An RGB image.

    Args:
        image: a path; a Pillow image of any mode with 8 bits a channel; an array (H, W, 3) or (H, W) of
            uint8, RGB; or a tensor (3, H, W) of uint8.

    Raises:
        ImageError: it cannot be read, or is of another form.
    """
    if isinstance(image, (str, PathLike)):
        return decode_image(image, max_pixels=MAX_PIXELS)
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise ImageError(f"a Pillow image of mode {image.mode}; expected 8 bits a channel")
        return _as_rgb(ImageOps.exif_transpose(image))
    if isinstance(image, torch.Tensor):
        if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
            raise ImageError(
                f"a tensor {tuple(image.shape)} of {image.dtype}; expected (3, H, W) of torch.uint8, RGB"
            )
        return _as_rgb(Image.fromarray(image.permute(1, 2, 0).cpu().numpy()))
    if not isinstance(image, np.ndarray):
        raise ImageError(f"an image is a {type(image).__name__}; expected a path, an image or an array")
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageError(f"an array {image.shape} of {image.dtype}; expected (H, W, 3) of uint8, RGB")
    return _as_rgb(Image.fromarray(image))


def _as_rgb(image: Image.Image) -> Image.Image:
    try:
        return as_rgb(image)
    except ValueError as error:
        raise ImageError(f"an image cannot be taken: {error}") from None


def time_taken(image: Image.Image) -> datetime.datetime | None:
    """When a camera took the image, by its EXIF data: the camera's own time, without a zone."""
    try:
        written: Any = image.getexif().get_ifd(EXIF_FOLDER).get(EXIF_TAKEN)
        return datetime.datetime.strptime(str(written), "%Y:%m:%d %H:%M:%S") if written else None
    except Exception:  # EXIF data are often damaged in one way or another
        return None
