"""What is done to an image before it is embedded, and the fingerprint of a model."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

# The name under which an exported file holds what it takes and gives, as JSON.
RECORD = "vireid"


@dataclass(frozen=True)
class Preprocessing:
    """From an image file to what a network takes.

    Attributes:
        size: (height, width) in pixels.
        interpolation: the filter of the resize, one of ``vireid.images.FILTERS``.
        flip: whether each embedding is averaged with that of the mirrored image.
    """

    size: tuple[int, int]
    interpolation: str = "bicubic"
    flip: bool = False

    @classmethod
    def from_config(cls, cfg: Any) -> "Preprocessing":
        """INPUT.SIZE_TEST, INPUT.INTERPOLATION and TEST.FLIP: that of an evaluation."""
        height, width = cfg.INPUT.SIZE_TEST
        return cls((height, width), cfg.INPUT.INTERPOLATION, cfg.TEST.FLIP.ENABLED)


def model_fingerprint(model: nn.Module, preprocessing: Preprocessing) -> str:
    """16 hexadecimal digits that tell models apart whose embeddings must not be compared.

    A digest of the weights and of the preprocessing. A checkpoint and what is exported from it have the same.
    It does not depend on the device, and says nothing of the architecture: see
    ``vireid.inference.network.probe``.

    Args:
        model: the meta-architecture.
        preprocessing: of its images.
    """
    digest = hashlib.sha256(json.dumps(asdict(preprocessing)).encode())
    means = {name: value for name, value in model.named_buffers() if name in ("pixel_mean", "pixel_std")}
    for name, value in sorted({**model.state_dict(), **means}.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
