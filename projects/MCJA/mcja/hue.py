"""Turning the hue of an image: what Pillow gives, to the last bit, in a quarter of its time.

The published code lets Pillow convert an image to hue, saturation and value of 8 bits each, turns the hue,
and lets Pillow convert it back. Both conversions are computed here with the types of Pillow's C code: a C
float is a float32, and an expression with a constant has double precision.
"""

import numpy as np
import torch
from torch import Tensor

from vireid.numba_loops import inner

# Of each hue: which sixth of the circle it is in, and how far along; of each saturation: its share.
_sixths = np.arange(256).astype(np.float32).astype(np.float64) * 6.0 / 255.0
SIXTH = np.floor(_sixths).astype(np.uint8) % 6
ALONG = (_sixths - np.floor(_sixths)).astype(np.float32)
SATURATION = (np.arange(256).astype(np.float32) / 255.0).astype(np.float32)


def turned_hue(image: Tensor, share: float) -> Tensor:
    """uint8 (3, H, W) with the hue turned by ``share`` of the circle, -0.5..0.5; the same as torchvision's
    ``adjust_hue`` of the Pillow image."""
    out = np.empty((3, image[0].numel()), np.uint8)
    turn = np.uint8(int(share * 255) % 256)
    _turn(image.reshape(3, -1).numpy(), turn, SIXTH, ALONG, SATURATION, out)
    return torch.from_numpy(out).view(image.shape)


@inner
def _turn(image, turn, sixths, along, saturations, out):  # type: ignore[no-untyped-def]
    for i in range(image.shape[1]):
        red, green, blue = image[0, i], image[1, i], image[2, i]
        value, least = max(red, green, blue), min(red, green, blue)
        hue, saturation = np.uint8(0), np.uint8(0)
        if value != least:
            spread = np.float32(value - least)
            saturation = np.uint8(np.float64(spread / np.float32(value)) * 255.0)
            of_red = np.float32(value - red) / spread
            of_green = np.float32(value - green) / spread
            of_blue = np.float32(value - blue) / spread
            if red == value:
                sixth = of_blue - of_green
            elif green == value:
                sixth = np.float32(2.0 + np.float64(of_red) - np.float64(of_blue))
            else:
                sixth = np.float32(4.0 + np.float64(of_green) - np.float64(of_red))
            circle = np.float64(sixth) / 6.0 + 1.0
            circle = np.float64(np.float32(circle - 1.0 if circle >= 1.0 else circle))
            hue = np.uint8(circle * 255.0)
        if saturation == 0:
            for channel in range(3):
                out[channel, i] = value
            continue
        hue = np.uint8(hue + turn)
        part, full = np.float64(saturations[saturation]), np.float64(value)
        low = np.uint8(full * (1.0 - part) + 0.5)
        falling = np.uint8(full * (1.0 - np.float64(saturations[saturation] * along[hue])) + 0.5)
        rising = np.uint8(full * (1.0 - part * (1.0 - np.float64(along[hue]))) + 0.5)
        sixth = sixths[hue]
        if sixth == 0:
            red, green, blue = value, rising, low
        elif sixth == 1:
            red, green, blue = falling, value, low
        elif sixth == 2:
            red, green, blue = low, value, rising
        elif sixth == 3:
            red, green, blue = low, falling, value
        elif sixth == 4:
            red, green, blue = rising, low, value
        else:
            red, green, blue = value, low, falling
        out[0, i], out[1, i], out[2, i] = red, green, blue
