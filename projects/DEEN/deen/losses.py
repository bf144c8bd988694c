"""The losses of DEEN (Zhang and Wang, CVPR 2023, and its published code) on the branches of images."""

from itertools import product

import torch
import torch.nn.functional as F
from fastreid.modeling.losses.utils import euclidean_dist
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.modality import Modality
from vireid.registries import LOSS_REGISTRY

PAIRS = ((Modality.VISIBLE, Modality.INFRARED), (Modality.INFRARED, Modality.VISIBLE))


@LOSS_REGISTRY.register()
class CenterPairMiningLoss(nn.Module):
    """CPM: an identity's center in a branch comes near its original center of the other modality.

    The distance of the two is to be smaller, by ``margin``, than three others: that of the branch's center to
    the original one of its own modality, a fixed number; and, with half the weight, those to the nearest
    other identity among the branch's centers and among the original ones of its modality. The loss is the
    mean over both modalities and the identities that have images of both, summed over the branches.

    Args:
        margin: 0 or more.
    """

    config_key = "CPM"
    whole_batch = True

    def __init__(self, margin: float = 0.2):
        super().__init__()
        self.margin = margin

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CenterPairMiningLoss":
        return cls(cfg.MODEL.LOSSES.CPM.MARGIN)

    def forward(self, embeddings: Tensor, targets: Tensor, modalities: Tensor, branches: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets, modalities, branches: (N,) int64 -> scalar."""
        # Each image has a row for its identity: the device is not asked which identities there are.
        same = targets[:, None] == targets
        both = torch.stack([(same & (modalities == m)).any(dim=1) for m, _ in PAIRS]).all(dim=0)
        others = ~same & both

        def centers(branch: int, modality: Modality) -> Tensor:
            members = (same & (branches == branch) & (modalities == modality)).to(embeddings.dtype)
            return members @ embeddings / members.sum(dim=1, keepdim=True).clamp(min=1)

        total = torch.zeros_like(embeddings[:, 0])
        for branch, (own, other) in product((1, 2), PAIRS):
            center, original = centers(branch, own), centers(0, own)
            distance = (center - centers(0, other)).norm(dim=1)
            total = total + F.relu(distance - (center - original).norm(dim=1).detach() + self.margin)
            for each in (center, original):
                total = total + F.relu(distance - to_nearest(each, others) + self.margin) / 2
        counted = both & ~same.tril(-1).any(dim=1)  # the first image of each identity
        return (total * counted).sum() / (len(PAIRS) * counted.sum()).clamp(min=1)


@LOSS_REGISTRY.register()
class OrthogonalityLoss(nn.Module):
    """Sum of the inner products of the features of an image's two branches, by the number of all features."""

    config_key = "ORT"
    whole_batch = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "OrthogonalityLoss":
        return cls()

    def forward(self, embeddings: Tensor, branches: Tensor) -> Tensor:
        """embeddings: (N, D); branches: (N,) int64, images in one order in each of the three -> scalar."""
        _, first, second = embeddings[branches.argsort(stable=True)].chunk(3)
        return (first * second).sum() / len(embeddings)


def to_nearest(centers: Tensor, others: Tensor) -> Tensor:
    """Distance of each of (N, D) to the nearest that ``others``, (N, N) bool, allows; infinite for none."""
    return euclidean_dist(centers, centers).masked_fill(~others, torch.inf).amin(dim=1)
