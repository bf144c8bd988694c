"""What is inserted into a backbone after its pretrained weights are loaded, named in MODEL.ADAPTERS.

An adapter is a function in ADAPTER_REGISTRY, called as ``adapter(cfg, backbone)``, that changes the
backbone in place and keeps the shape of its feature map.
"""

from fastreid.utils.registry import Registry
from torch import nn
from yacs.config import CfgNode

from vireid.errors import registered

ADAPTER_REGISTRY = Registry("ADAPTER")


def insert_adapters(cfg: CfgNode, backbone: nn.Module) -> None:
    """Apply the adapters of MODEL.ADAPTERS, in order, in place.

    Raises:
        ConfigError: unknown name.
    """
    for name in cfg.MODEL.ADAPTERS:
        registered(ADAPTER_REGISTRY._obj_map, name, "MODEL.ADAPTERS")(cfg, backbone)
