"""DEEN: diverse embedding expansion network (Zhang and Wang, CVPR 2023)."""

from deen.config import add_deen_config
from deen.modules import DiverseEmbeddingExpansion, MultistageAggregation
from vireid import host

__all__ = ["DiverseEmbeddingExpansion", "MultistageAggregation", "add_deen_config"]

if host.is_installed():
    from deen import adapters, head, losses, published  # noqa: F401  (registration)
