"""Two-stream models, their losses, adapters and batch transforms."""

import fastreid  # noqa: F401  isort: skip  (first of all: vireid mends it and registers its parts then)

from vireid.modeling import heads, timm_backbone  # noqa: F401  (registration)
from vireid.modeling.meta_arch import VIReID
from vireid.registries import ADAPTER_REGISTRY, BATCH_TRANSFORM_REGISTRY, LOSS_REGISTRY

__all__ = ["ADAPTER_REGISTRY", "BATCH_TRANSFORM_REGISTRY", "LOSS_REGISTRY", "VIReID"]
