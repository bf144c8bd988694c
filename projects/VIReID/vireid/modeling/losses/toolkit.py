"""The toolkit's own losses, under the names and settings that it gives them."""

import torch.nn.functional as F
from fastreid.modeling import losses
from fastreid.modeling.losses.triplet_loss import triplet_loss
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.registries import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class CrossEntropyLoss(nn.Module):
    """Identity cross-entropy with label smoothing EPSILON (-1: adaptive, with ALPHA).

    Without smoothing it is the mean over the batch. The toolkit divides by the number of images whose loss is
    not zero instead, which this class leaves so where labels are smoothed.
    """

    config_key = "CE"

    def __init__(self, epsilon: float = 0.0, alpha: float = 0.2):
        super().__init__()
        self.epsilon, self.alpha = epsilon, alpha

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CrossEntropyLoss":
        node = cfg.MODEL.LOSSES[cls.config_key]
        return cls(node.EPSILON, node.ALPHA)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (N, C) float; targets: (N,) int64 -> scalar."""
        if self.epsilon == 0:
            return F.cross_entropy(logits, targets)
        return losses.cross_entropy_loss(logits, targets, self.epsilon, self.alpha)


@LOSS_REGISTRY.register()
class TripletLoss(nn.Module):
    """Triplet loss; MARGIN 0 without HARD_MINING is the weighted-regularized triplet of AGW.

    Source: Ye et al., Deep Learning for Person Re-identification: A Survey and Outlook, TPAMI 2021, 4.2.
    """

    config_key = "TRI"

    def __init__(self, margin: float = 0.0, norm_feat: bool = False, hard_mining: bool = False):
        super().__init__()
        self.margin, self.norm_feat, self.hard_mining = margin, norm_feat, hard_mining

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "TripletLoss":
        node = cfg.MODEL.LOSSES[cls.config_key]
        return cls(node.MARGIN, node.NORM_FEAT, node.HARD_MINING)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets: (N,) int64 -> scalar."""
        return triplet_loss(embeddings, targets, self.margin, self.norm_feat, self.hard_mining)


@LOSS_REGISTRY.register()
class FocalLoss(nn.Module):
    """Focal loss on the class scores."""

    config_key = "FL"

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "FocalLoss":
        node = cfg.MODEL.LOSSES[cls.config_key]
        return cls(node.ALPHA, node.GAMMA)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (N, C) float; targets: (N,) int64 -> scalar."""
        return losses.focal_loss(logits, targets, self.alpha, self.gamma)


@LOSS_REGISTRY.register()
class CircleLoss(nn.Module):
    """Pairwise circle loss."""

    config_key = "CIRCLE"

    def __init__(self, margin: float = 0.25, gamma: float = 128):
        super().__init__()
        self.margin, self.gamma = margin, gamma

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CircleLoss":
        node = cfg.MODEL.LOSSES[cls.config_key]
        return cls(node.MARGIN, node.GAMMA)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets: (N,) int64 -> scalar."""
        return losses.pairwise_circleloss(embeddings, targets, self.margin, self.gamma)


@LOSS_REGISTRY.register()
class Cosface(CircleLoss):
    """Pairwise large-margin cosine loss."""

    config_key = "COSFACE"

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets: (N,) int64 -> scalar."""
        return losses.pairwise_cosface(embeddings, targets, self.margin, self.gamma)
