"""What is done to a whole training batch on the device, named in MODEL.BATCH_TRANSFORMS.

A batch transform is a class in BATCH_TRANSFORM_REGISTRY with a classmethod ``from_config(cfg)`` and
``__call__(batch) -> batch``, where a batch is a dict of ``images`` (N, 3, H, W) normalized float,
``targets``, ``camids`` and ``modalities`` (N,), ordered by modality. Only the images are on the device: what
is decided by the others is known at once, without waiting for it. It may add images, MIXED ones last, and
entries that a loss asks for by name, on either.
"""

from collections.abc import Callable

from torch import Tensor
from yacs.config import CfgNode

from vireid.registries import BATCH_TRANSFORM_REGISTRY, find

Batch = dict[str, Tensor]


def build_batch_transforms(cfg: CfgNode) -> list[Callable[[Batch], Batch]]:
    """The transforms of MODEL.BATCH_TRANSFORMS, in order.

    Raises:
        ConfigError: unknown name.
    """
    return [
        find(BATCH_TRANSFORM_REGISTRY, name, "MODEL.BATCH_TRANSFORMS").from_config(cfg)
        for name in cfg.MODEL.BATCH_TRANSFORMS
    ]
