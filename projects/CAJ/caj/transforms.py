"""CAJ's augmentation of infrared images."""

import random
from typing import Any, ClassVar

import torch
from torch import Tensor

from vireid.registries import TRANSFORM_REGISTRY

LUMA = (0.2989, 0.5870, 0.1140)


@TRANSFORM_REGISTRY.register()
class ChannelAdaptGray:
    """Give all channels one of them, or their gray, or leave them, as the published code does: normalized.

    Each channel is chosen in a quarter of the cases; in the last quarter, the image turns gray with
    probability ``prob``. The channels of an infrared image are equal before the normalization and not after
    it. So this changes its brightness and contrast: the result has the pixel values which that of the
    published code would have before it, rounded and within 0..255.

    Args:
        prob: of gray, in the last quarter.
        mean, std: of the normalization, in pixel values.

    Source: the published code of CAJ, ChannelAdapGray.
    """

    keeps_input: ClassVar[bool] = True

    def __init__(self, prob: float, mean: list[float], std: list[float]) -> None:
        self.prob = prob
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))

    @classmethod
    def from_config(cls, cfg: Any) -> "ChannelAdaptGray":
        """Read INPUT.CHANNEL_ADAPT_GRAY, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD."""
        return cls(cfg.INPUT.CHANNEL_ADAPT_GRAY.PROB, cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD)

    def __call__(self, image: Tensor) -> Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        chosen = random.randrange(4)
        if chosen == 3 and random.random() >= self.prob:
            return image
        normalized = (image - self.mean) / self.std
        weights = torch.tensor(LUMA) if chosen == 3 else torch.eye(3)[chosen]
        one = torch.einsum("c,chw->hw", weights, normalized)
        return (one * self.std + self.mean).round_().clamp_(0, 255).to(torch.uint8)
