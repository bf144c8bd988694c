"""The losses of CAJ: the enhanced squared difference, and the divergence that is off as published."""

import torch
import torch.nn.functional as F
from fastreid.modeling.losses.triplet_loss import weighted_example_mining
from fastreid.modeling.losses.utils import euclidean_dist
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.modality import Modality
from vireid.registries import LOSS_REGISTRY

LARGEST = 88.0  # of a squared difference: exp(88) is finite in float32
EXACT = 50.0  # from here on, log(1 + exp(x)) is x to the last bit
TEMPERATURE = 3.0


@LOSS_REGISTRY.register()
class EnhancedSquaredDifference(nn.Module):
    """Soft margin of an image's squared difference between its weighted positives and negatives.

    With p the mean of the distances to the positives, weighted by softmax(alpha d), and n that to the
    negatives, weighted by softmax(-alpha d), it is the mean of log(1 + exp(s)), s = gamma (p - n)^2, at most
    88, with the sign of p - n.

    Args:
        alpha: of the weights, above 0.
        gamma: of the difference, above 0.
        square: False leaves s = gamma (p - n), the weighted triplet of AGW.

    Source: CAJ (Ye et al., ICCV 2021); the bound is that of the published code.
    """

    config_key = "ESD"
    whole_batch = True

    def __init__(self, alpha: float = 1.0, gamma: float = 1.0, square: bool = True):
        super().__init__()
        self.alpha, self.gamma, self.square = alpha, gamma, square

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "EnhancedSquaredDifference":
        node = cfg.MODEL.LOSSES.ESD
        return cls(node.ALPHA, node.GAMMA, node.SQUARE)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets: (N,) int64 -> scalar."""
        distances = self.alpha * euclidean_dist(embeddings, embeddings)
        match = (targets[:, None] == targets).to(distances.dtype)
        positive, negative = weighted_example_mining(distances, match, 1 - match)
        difference = (positive - negative) / self.alpha
        if self.square:
            sign = torch.where(difference > 0, 1.0, -1.0)
            difference = sign * (self.gamma * difference.pow(2)).clamp(max=LARGEST)
        else:
            difference = self.gamma * difference
        return F.softplus(difference, threshold=EXACT).mean()


@LOSS_REGISTRY.register()
class VisibleInfraredDivergence(nn.Module):
    """KL divergence between the softened predictions of an infrared image and a visible one of its identity.

    The infrared prediction is the target and fixed. An identity's k-th infrared image, in the order of the
    batch, is compared with the first view of its k-th visible image.

    Source: the published code of CAJ, whose default weight is 0.
    """

    config_key = "KL"
    whole_batch = True

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "VisibleInfraredDivergence":
        return cls()

    def forward(
        self, logits: Tensor, targets: Tensor, modalities: Tensor, views: Tensor | None = None
    ) -> Tensor:
        """logits: (N, C); targets, modalities, views: (N,) int64; views where there are any -> scalar."""
        first = torch.ones_like(targets, dtype=torch.bool) if views is None else views == 0
        alike = (targets[:, None] == targets) & (modalities[:, None] == modalities) & first & first[:, None]
        place = alike.long().tril(-1).sum(dim=1)  # of an image among those of its identity and modality
        visible, infrared = (first & (modalities == m) for m in (Modality.VISIBLE, Modality.INFRARED))
        pairs = (targets[:, None] == targets) & (place[:, None] == place) & visible[:, None] & infrared
        paired = pairs.to(logits.dtype)
        predicted = (logits / TEMPERATURE).log_softmax(dim=1)
        wanted = paired @ ((logits.detach() / TEMPERATURE).softmax(dim=1) + 1e-7)
        # Rows without a partner are zero: their logarithm is never taken.
        of_each = torch.xlogy(wanted, wanted) - wanted * predicted
        return TEMPERATURE**2 * of_each.sum() / paired.sum().clamp(min=1)
