"""The toolkit's own losses, under the names and settings that it gives them.

Cross-entropy and triplet are written out: the toolkit's read the device in every step, to count the images
whose loss is not zero and to look for an overflow. So is the focal loss: the toolkit's may be NaN.
"""

import torch
import torch.nn.functional as F
from fastreid.modeling import losses
from fastreid.modeling.losses.triplet_loss import hard_example_mining, weighted_example_mining
from fastreid.modeling.losses.utils import cosine_dist, euclidean_dist
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.registries import LOSS_REGISTRY


@LOSS_REGISTRY.register()
class CrossEntropyLoss(nn.Module):
    """Identity cross-entropy with label smoothing EPSILON (-1: adaptive, with ALPHA).

    Without smoothing it is the mean over the batch. With smoothing it is, as in the toolkit, the mean over
    the images whose loss is not zero.
    """

    config_key = "CE"
    whole_batch = False

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
        values = self.of_each(logits, targets)
        return values.sum() / torch.count_nonzero(values).clamp(min=1)

    @torch.no_grad()
    def count(self, logits: Tensor, targets: Tensor) -> int | Tensor:
        """How many images the mean is over, a number or a scalar."""
        if self.epsilon == 0:
            return len(targets)
        return torch.count_nonzero(self.of_each(logits, targets))

    def of_each(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (N, C); targets: (N,) -> (N,) smoothed cross-entropies."""
        own = targets.unsqueeze(1)
        smoothing: float | Tensor = self.epsilon
        if self.epsilon < 0:
            smoothing = self.alpha * logits.softmax(dim=1).gather(1, own)
        log_probabilities = logits.log_softmax(dim=1)
        with torch.no_grad():
            wanted = torch.ones_like(log_probabilities) * (smoothing / (logits.shape[1] - 1))
            wanted.scatter_(1, own, 1 - smoothing)
        return (-wanted * log_probabilities).sum(dim=1)


@LOSS_REGISTRY.register()
class TripletLoss(nn.Module):
    """Triplet loss; MARGIN 0 without HARD_MINING is the weighted-regularized triplet of AGW.

    Source: Ye et al., Deep Learning for Person Re-identification: A Survey and Outlook, TPAMI 2021, 4.2.
    """

    config_key = "TRI"
    whole_batch = True

    def __init__(self, margin: float = 0.0, norm_feat: bool = False, hard_mining: bool = False):
        super().__init__()
        self.margin, self.norm_feat, self.hard_mining = margin, norm_feat, hard_mining

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "TripletLoss":
        node = cfg.MODEL.LOSSES[cls.config_key]
        return cls(node.MARGIN, node.NORM_FEAT, node.HARD_MINING)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets: (N,) int64 -> scalar."""
        distances = (cosine_dist if self.norm_feat else euclidean_dist)(embeddings, embeddings)
        match = (targets[:, None] == targets).float()
        mine = hard_example_mining if self.hard_mining else weighted_example_mining
        positive, negative = mine(distances, match, 1 - match)
        ones = torch.ones_like(positive)
        if self.margin > 0:
            return F.margin_ranking_loss(negative, positive, ones, margin=self.margin)
        # Where the soft margin overflows, it is a margin of 0.3. What is not chosen must stay finite, or its
        # gradient would be NaN.
        difference = negative - positive
        overflow = F.soft_margin_loss(difference.detach(), ones) == torch.inf
        soft = F.soft_margin_loss(torch.where(overflow, torch.zeros_like(difference), difference), ones)
        return torch.where(overflow, F.margin_ranking_loss(negative, positive, ones, margin=0.3), soft)


@LOSS_REGISTRY.register()
class FocalLoss(nn.Module):
    """Focal loss: mean over the images of -ALPHA (1 - p)^GAMMA log p, with p the score of its own identity.

    The toolkit's takes the logarithm of a p that may be 0, and is NaN then.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
    """

    config_key = "FL"
    whole_batch = False

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "FocalLoss":
        node = cfg.MODEL.LOSSES[cls.config_key]
        return cls(node.ALPHA, node.GAMMA)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (N, C) float; targets: (N,) int64 -> scalar."""
        log_p = -F.cross_entropy(logits, targets, reduction="none")
        return (-self.alpha * (1 - log_p.exp()).pow(self.gamma) * log_p).mean()


@LOSS_REGISTRY.register()
class CircleLoss(nn.Module):
    """Pairwise circle loss."""

    config_key = "CIRCLE"
    whole_batch = True

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
