"""Augmentations that move or cover parts of an image."""

import math
import random
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from vireid.registries import TRANSFORM_REGISTRY


@TRANSFORM_REGISTRY.register()
class Flip:
    """Mirror left and right, with probability INPUT.FLIP.PROB."""

    toolkit_key: ClassVar[str] = "FLIP"
    keeps_input: ClassVar[bool] = True

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    @classmethod
    def from_config(cls, cfg: Any) -> "Flip":
        """Read INPUT.FLIP."""
        return cls(cfg.INPUT.FLIP.PROB)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        return image.flip(-1) if random.random() < self.prob else image


@TRANSFORM_REGISTRY.register()
class PadCrop:
    """Add a border, and crop a random box of the image's size.

    Args:
        size: width of the border, in pixels.
        mode: "constant", "edge", "reflect" or "symmetric".
        value: of a constant border, 0..255.
    """

    toolkit_key: ClassVar[str] = "PADDING"
    keeps_input: ClassVar[bool] = True

    def __init__(self, size: int = 10, mode: str = "constant", value: int = 0) -> None:
        self.size, self.mode, self.value = size, mode, value

    @classmethod
    def from_config(cls, cfg: Any) -> "PadCrop":
        """Read INPUT.PADDING."""
        node = cfg.INPUT.PADDING
        return cls(node.SIZE, node.MODE, node.VALUE)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        height, width = image.shape[1:]
        down, right = (random.randint(0, 2 * self.size) - self.size for _ in range(2))
        if self.mode != "constant":
            rows, columns = self._sources(height, down), self._sources(width, right)
            return image.index_select(1, rows).index_select(2, columns)
        out = np.full(image.shape, self.value, np.uint8)
        rows_out, rows_in = _overlap(height, down)
        columns_out, columns_in = _overlap(width, right)
        out[:, rows_out, columns_out] = image.numpy()[:, rows_in, columns_in]  # faster than PyTorch's copy
        return torch.from_numpy(out)

    def _sources(self, length: int, shift: int) -> torch.Tensor:
        """Which row or column of the image each of the crop shows."""
        padded = np.pad(np.arange(length), self.size, mode=self.mode)  # type: ignore[call-overload]
        return torch.from_numpy(padded[self.size + shift : self.size + shift + length])


@TRANSFORM_REGISTRY.register()
class RandomErasing:
    """Fill a random box (Zhong et al., AAAI 2020).

    Args:
        prob: of filling one.
        value: uint8 value of each channel.
        scale: bounds of the box's share of the image.
        ratio: bounds of its height by its width, drawn log-uniformly.
    """

    toolkit_key: ClassVar[str] = "REA"
    keeps_input: ClassVar[bool] = True

    def __init__(
        self,
        prob: float = 0.5,
        value: Sequence[int] = (124, 116, 104),
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
    ) -> None:
        self.prob, self.scale = prob, scale
        self.log_ratio = (math.log(ratio[0]), math.log(ratio[1]))
        self.value = torch.tensor(list(value), dtype=torch.uint8)[:, None, None].expand(3, 1, 1)

    @classmethod
    def from_config(cls, cfg: Any) -> "RandomErasing":
        """Read INPUT.REA."""
        node = cfg.INPUT.REA
        value = [round(channel) for channel in node.VALUE]
        return cls(cfg.INPUT.REA.PROB, value, tuple(node.SCALE))

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        box = self.draw(*image.shape[1:])
        if box is None:
            return image
        out = image.clone()
        pixels = out.numpy()
        for channel, value in zip(pixels, self.value.ravel().tolist()):
            channel[box] = value
        return out

    def draw(self, height: int, width: int) -> tuple[slice, slice] | None:
        """Rows and columns of a box in an image of this size; None with probability 1 - ``prob``, and where
        ten boxes were too long for the image."""
        if random.random() >= self.prob:
            return None
        for _ in range(10):
            area = random.uniform(*self.scale) * height * width
            ratio = math.exp(random.uniform(*self.log_ratio))
            rows, columns = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < rows < height and 0 < columns < width:
                top, left = random.randint(0, height - rows), random.randint(0, width - columns)
                return slice(top, top + rows), slice(left, left + columns)
        return None


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """Where, of ``length`` places shifted by ``shift``, the image lands, and what part of it."""
    start, stop = max(0, -shift), min(length, length - shift)
    if stop <= start:
        return slice(0, 0), slice(0, 0)
    return slice(start, stop), slice(start + shift, stop + shift)
