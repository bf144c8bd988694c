"""MCJA's augmentations of visible images (VIMC), each of which a config can also name alone.

They take a uint8 tensor (3, H, W) or a PIL image, return what they got, and leave their input as it is.
Both kinds of input go through the same arithmetic: with the same state of Python's ``random``, the
result is the same to the last bit.
"""

import random
from typing import Any, ClassVar, TypeVar, cast

from PIL import Image
from torch import Tensor

from mcja.hue import turned_hue
from vireid.data.transforms.geometry import RandomErasing
from vireid.data.transforms.pixels import blended, weighted_gray
from vireid.images import image_to_tensor
from vireid.registries import TRANSFORM_REGISTRY

ImageType = TypeVar("ImageType", Tensor, Image.Image)


class SpectralTransform:
    """What these augmentations share: a probability, and either type of image.

    Args:
        prob: of changing an image.
    """

    keeps_input: ClassVar[bool] = True

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def __call__(self, image: ImageType) -> ImageType:
        if random.random() >= self.prob:
            return image
        if isinstance(image, Tensor):
            return self.change(image)
        changed = self.change(image_to_tensor(image.convert("RGB")))
        return cast(ImageType, tensor_to_image(changed))

    def change(self, image: Tensor) -> Tensor:
        """uint8 (3, H, W) -> a new one."""
        raise NotImplementedError


@TRANSFORM_REGISTRY.register()
class HueJitter(SpectralTransform):
    """Turn the hue by a uniform share of the circle.

    Args:
        prob: of changing an image.
        hue: the share is drawn from -hue to hue, 0..0.5.
    """

    def __init__(self, prob: float = 0.5, hue: float = 0.2) -> None:
        super().__init__(prob)
        self.hue = hue

    @classmethod
    def from_config(cls, cfg: Any) -> "HueJitter":
        """Read INPUT.HUE_JITTER."""
        hue = cfg.INPUT.HUE_JITTER.HUE
        return cls(cfg.INPUT.HUE_JITTER.PROB, hue)

    def change(self, image: Tensor) -> Tensor:
        return turned_hue(image, random.uniform(-self.hue, self.hue))


@TRANSFORM_REGISTRY.register()
class WeightedGrayscale(SpectralTransform):
    """Set all three channels to their sum with random weights, truncated to an integer."""

    @classmethod
    def from_config(cls, cfg: Any) -> "WeightedGrayscale":
        """Read INPUT.WEIGHTED_GRAYSCALE."""
        return cls(cfg.INPUT.WEIGHTED_GRAYSCALE.PROB)

    def change(self, image: Tensor) -> Tensor:
        # Weights of 16 bits that sum to one exactly, so that gray stays the same gray.
        weights = [random.random() for _ in range(3)]
        red, green = (round(weight / sum(weights) * 65536) for weight in weights[:2])
        return weighted_gray(image, (red, green, 65536 - red - green))


@TRANSFORM_REGISTRY.register()
class ChannelCutMix(SpectralTransform):
    """Set all three channels to one of them, with a random box from another.

    Args:
        prob: of changing an image.
        scale: bounds of the box's share of the image.
        ratio: bounds of its height by its width, drawn log-uniformly.
        published_box: draw the box as the published code does: for an image of exchanged height and
            width, and cut off what lies outside.
    """

    def __init__(
        self,
        prob: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        published_box: bool = False,
    ) -> None:
        super().__init__(prob)
        self.published_box = published_box
        self.box = RandomErasing(1.0, scale=scale, ratio=ratio)

    @classmethod
    def from_config(cls, cfg: Any) -> "ChannelCutMix":
        """Read INPUT.CHANNEL_CUTMIX."""
        node = cfg.INPUT.CHANNEL_CUTMIX
        return cls(cfg.INPUT.CHANNEL_CUTMIX.PROB, tuple(node.SCALE), tuple(node.RATIO), node.PUBLISHED_BOX)

    def change(self, image: Tensor) -> Tensor:
        background, foreground = random.sample(range(3), 2)
        out = image[background].repeat(3, 1, 1)
        rows, columns = self.draw_box(*image.shape[1:])
        out[:, rows, columns] = image[foreground, rows, columns]
        return out

    def draw_box(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the box, which may be empty."""
        box = self.box.draw(width, height) if self.published_box else self.box.draw(height, width)
        rows, columns = box or (slice(0), slice(0))
        if self.published_box:
            side = min(height, width)
            rows, columns = (slice(part.start, min(part.stop, side)) for part in (rows, columns))
        return rows, columns


@TRANSFORM_REGISTRY.register()
class SpectrumJitter(SpectralTransform):
    """Blend an image with one of its channels, replicated.

    Args:
        prob: of changing an image.
        factor: bounds of the image's share in the blend: 0 is the channel, 1 the image.
    """

    def __init__(self, prob: float = 0.5, factor: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__(prob)
        self.factor = factor

    @classmethod
    def from_config(cls, cfg: Any) -> "SpectrumJitter":
        """Read INPUT.SPECTRUM_JITTER."""
        factor = cfg.INPUT.SPECTRUM_JITTER.FACTOR
        return cls(cfg.INPUT.SPECTRUM_JITTER.PROB, tuple(factor))

    def change(self, image: Tensor) -> Tensor:
        return blended(image, image[random.randrange(3)], random.uniform(*self.factor))


@TRANSFORM_REGISTRY.register()
class VIMC:
    """Visible-infrared modality coordinator: one of the four above, chosen uniformly, which is then
    applied with its own probability.

    Source: MCJA (Liang et al., IEEE TCSVT 2024), section VIMC; arXiv 2307.08316 v1, modality alignment
    augmentation.
    """

    keeps_input: ClassVar[bool] = True

    def __init__(self, choices: list[SpectralTransform] | None = None) -> None:
        self.choices = choices or [HueJitter(), WeightedGrayscale(), ChannelCutMix(), SpectrumJitter()]

    @classmethod
    def from_config(cls, cfg: Any) -> "VIMC":
        """Read the keys of the four."""
        kinds = (HueJitter, WeightedGrayscale, ChannelCutMix, SpectrumJitter)
        return cls([kind.from_config(cfg) for kind in kinds])

    def __call__(self, image: ImageType) -> ImageType:
        return random.choice(self.choices)(image)


def tensor_to_image(image: Tensor) -> Image.Image:
    """uint8 (3, H, W) as an RGB image."""
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
