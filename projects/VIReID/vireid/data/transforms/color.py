"""Augmentations of an image's colors."""

import random
from typing import Any, ClassVar

import torch
from PIL import Image
from torchvision.transforms import ColorJitter as PillowColorJitter

from vireid.data.transforms.pixels import weighted_gray
from vireid.errors import ConfigError
from vireid.images import image_to_tensor
from vireid.registries import TRANSFORM_REGISTRY


@TRANSFORM_REGISTRY.register()
class ColorJitter:
    """Change brightness, contrast, saturation and hue at random, in random order, as the toolkit does.

    Args:
        prob: of changing them.
        brightness, contrast, saturation: x draws a factor from 1 - x to 1 + x.
        hue: x turns the hue by -x to x of the circle, 0..0.5.
    """

    toolkit_key: ClassVar[str] = "CJ"
    keeps_input: ClassVar[bool] = True

    def __init__(
        self,
        prob: float = 0.5,
        brightness: float = 0.15,
        contrast: float = 0.15,
        saturation: float = 0.1,
        hue: float = 0.1,
    ) -> None:
        self.prob = prob
        self.jitter = PillowColorJitter(brightness, contrast, saturation, hue)

    @classmethod
    def from_config(cls, cfg: Any) -> "ColorJitter":
        """Read INPUT.CJ."""
        node = cfg.INPUT.CJ
        try:
            return cls(cfg.INPUT.CJ.PROB, node.BRIGHTNESS, node.CONTRAST, node.SATURATION, node.HUE)
        except ValueError as error:
            raise ConfigError(f"INPUT.CJ: {error}") from error

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        if random.random() >= self.prob:
            return image
        # Pillow's loops take half the time of torchvision's for tensors.
        return image_to_tensor(self.jitter(Image.fromarray(image.permute(1, 2, 0).numpy())))


@TRANSFORM_REGISTRY.register()
class RandomGrayscale:
    """Take the color (ITU-R 601 luma in all three channels), with probability INPUT.GRAYSCALE.PROB."""

    toolkit_key: ClassVar[str] = "GRAYSCALE"
    keeps_input: ClassVar[bool] = True

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    @classmethod
    def from_config(cls, cfg: Any) -> "RandomGrayscale":
        """Read INPUT.GRAYSCALE."""
        return cls(cfg.INPUT.GRAYSCALE.PROB)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        if random.random() >= self.prob:
            return image
        # Pillow's integers: 0.299, 0.587, 0.114 of 2 ** 16, rounded.
        return weighted_gray(image, (19595, 38470, 7471), 0x8000)


@TRANSFORM_REGISTRY.register()
class ChannelExchange:
    """Replace the image by one of its channels, three times (Ye et al., CAJ, ICCV 2021), with
    probability INPUT.CHANNEL_EXCHANGE.PROB."""

    toolkit_key: ClassVar[str] = "CHANNEL_EXCHANGE"
    keeps_input: ClassVar[bool] = True

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    @classmethod
    def from_config(cls, cfg: Any) -> "ChannelExchange":
        """Read INPUT.CHANNEL_EXCHANGE."""
        return cls(cfg.INPUT.CHANNEL_EXCHANGE.PROB)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (3, H, W) -> (3, H, W)."""
        return image[random.randrange(3)].repeat(3, 1, 1) if random.random() < self.prob else image
