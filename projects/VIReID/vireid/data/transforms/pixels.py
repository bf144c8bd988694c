"""Arithmetic on every pixel of an image, in compiled loops."""

import numpy as np
import torch
from torch import Tensor

from vireid.numba_loops import inner


def weighted_gray(image: Tensor, weights: tuple[int, int, int], added: int = 0) -> Tensor:
    """The weighted sum of an image's channels in all three.

    Args:
        image: uint8 (3, H, W).
        weights: of the channels; their sum is 2 ** 16.
        added: to the sum before it is divided by 2 ** 16 and truncated: 2 ** 15 rounds.

    Returns:
        uint8 (3, H, W).
    """
    gray = np.empty(image[0].numel(), np.uint8)
    red, green, blue = image.reshape(3, -1).numpy()
    of_red, of_green, of_blue = map(np.int32, weights)
    _weighted_sum(red, green, blue, of_red, of_green, of_blue, np.int32(added), gray)
    return torch.from_numpy(gray).view(image.shape[1:]).repeat(3, 1, 1)


def blended(image: Tensor, other: Tensor, share: float) -> Tensor:
    """``share`` of an image and the rest of one channel, truncated as Pillow blends.

    Args:
        image: uint8 (3, H, W).
        other: uint8 (H, W), blended with each channel.
        share: 0 is ``other``, 1 the image.

    Returns:
        uint8 (3, H, W).
    """
    out = np.empty((3, other.numel()), np.uint8)
    for plane, mixed in zip(image.reshape(3, -1).numpy(), out):
        _blend(plane, other.reshape(-1).numpy(), np.float32(share), mixed)
    return torch.from_numpy(out).view(image.shape)


@inner
def _weighted_sum(red, green, blue, of_red, of_green, of_blue, added, out):  # type: ignore[no-untyped-def]
    sixteen = np.int32(16)
    for i in range(len(out)):
        total = of_red * np.int32(red[i]) + of_green * np.int32(green[i]) + of_blue * np.int32(blue[i])
        out[i] = np.int32(total + added) >> sixteen


@inner
def _blend(plane, other, share, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        base = np.float32(other[i])
        out[i] = np.uint8(base + share * (np.float32(plane[i]) - base))
