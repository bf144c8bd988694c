"""What is inserted into a backbone after its pretrained weights are loaded, named in MODEL.ADAPTERS.

An adapter is a class in ADAPTER_REGISTRY with ``from_config(cfg)`` and ``insert(backbone, builder)``, which
changes the backbone in place and keeps the shape of its feature map; ``builder`` is MODEL.BACKBONE.NAME.
"""

from typing import Protocol

from torch import nn
from yacs.config import CfgNode

from vireid.registries import ADAPTER_REGISTRY, find


class Adapter(Protocol):
    """What the model asks of an adapter."""

    def insert(self, backbone: nn.Module, builder: str) -> None: ...


@ADAPTER_REGISTRY.register()
class PaddedMaxPool:
    """Pads the max-pooling of the toolkit's ResNets by 1 instead of rounding its output size up.

    So it is in torchvision, in the published AGW and MCJA, and where the pretrained weights were trained.
    Other backbones have it so, or have none.
    """

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PaddedMaxPool":
        return cls()

    def insert(self, backbone: nn.Module, builder: str) -> None:
        """Replace ``backbone.maxpool``, if there is one that rounds up."""
        pooling = getattr(backbone, "maxpool", None)
        if isinstance(pooling, nn.MaxPool2d) and pooling.ceil_mode:
            backbone.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)


def insert_adapters(cfg: CfgNode, backbone: nn.Module) -> None:
    """Insert the adapters of MODEL.ADAPTERS, in order, in place.

    Raises:
        ConfigError: an unknown name, or one that this backbone cannot have.
    """
    for name in cfg.MODEL.ADAPTERS:
        adapter: Adapter = find(ADAPTER_REGISTRY, name, "MODEL.ADAPTERS").from_config(cfg)
        adapter.insert(backbone, cfg.MODEL.BACKBONE.NAME)
