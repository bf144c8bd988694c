"""The model of a config."""

import logging

import torch
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from torch import nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.registries import find

logger = logging.getLogger("fastreid.vireid.models")


def build_model(cfg: CfgNode) -> nn.Module:
    """MODEL.META_ARCHITECTURE on MODEL.DEVICE.

    Raises:
        ConfigError: an unknown name, or parts that do not go together.
    """
    missing = [layer for layer in cfg.MODEL.FREEZE_LAYERS if layer not in ("backbone", "heads")]
    if missing:
        raise ConfigError(f"MODEL.FREEZE_LAYERS names {missing[0]!r}; the model has backbone and heads")
    kind = find(META_ARCH_REGISTRY, cfg.MODEL.META_ARCHITECTURE, "MODEL.META_ARCHITECTURE")
    model: nn.Module = kind(cfg).to(torch.device(cfg.MODEL.DEVICE))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    specific = ", ".join(getattr(model, "modality_specific", ())) or "none: one stream"
    logger.info(f"Model of {parameters / 1e6:.2f} M parameters; modality-specific: {specific}")
    return model


def uncounted(cfg: CfgNode) -> CfgNode:
    """A frozen copy without a number of identities: the toolkit would keep it, whatever is trained on."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.HEADS.NUM_CLASSES = 0
    cfg.freeze()
    return cfg
