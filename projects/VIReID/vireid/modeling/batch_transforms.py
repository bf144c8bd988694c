"""What is done to a whole training batch on the device, named in MODEL.BATCH_TRANSFORMS.

A batch transform is a class in BATCH_TRANSFORM_REGISTRY with a classmethod ``from_config(cfg)`` and
``__call__(batch) -> batch``, where a batch is a dict of ``images`` (N, 3, H, W) normalized float,
``targets``, ``camids`` and ``modalities`` (N,), ordered by modality. It may add images, MIXED ones
last, and entries that a loss asks for by name.
"""

from collections.abc import Callable

from fastreid.utils.registry import Registry
from torch import Tensor
from yacs.config import CfgNode

from vireid.errors import registered

BATCH_TRANSFORM_REGISTRY = Registry("BATCH_TRANSFORM")

Batch = dict[str, Tensor]


def build_batch_transforms(cfg: CfgNode) -> list[Callable[[Batch], Batch]]:
    """The transforms of MODEL.BATCH_TRANSFORMS, in order.

    Raises:
        ConfigError: unknown name.
    """
    known = BATCH_TRANSFORM_REGISTRY._obj_map
    names = cfg.MODEL.BATCH_TRANSFORMS
    return [registered(known, name, "MODEL.BATCH_TRANSFORMS").from_config(cfg) for name in names]
