"""Two-stream models, their losses and batch transforms."""

from vireid.modeling import timm_backbone  # noqa: F401  (registration)
from vireid.modeling.adapters import ADAPTER_REGISTRY
from vireid.modeling.batch_transforms import BATCH_TRANSFORM_REGISTRY
from vireid.modeling.losses import LOSS_REGISTRY
from vireid.modeling.meta_arch import VIReID

__all__ = ["ADAPTER_REGISTRY", "BATCH_TRANSFORM_REGISTRY", "LOSS_REGISTRY", "VIReID"]
