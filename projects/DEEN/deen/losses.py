"""The losses of DEEN that compare an image's features with those of its branches."""

import torch
import torch.nn.functional as F
from fastreid.modeling.losses.utils import euclidean_dist
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.modality import Modality
from vireid.registries import LOSS_REGISTRY

BRANCHES = (1, 2)


@LOSS_REGISTRY.register()
class CenterPairMiningLoss(nn.Module):
    """CPM: an identity's center in a branch comes near its original center of the other modality.

    The distance between these two is to be smaller, by ``margin``, than each of three others: that of the
    branch's center to the original center of its own modality, as a fixed number; and, half as much, that to
    the nearest other identity, among the branch's centers and among the original ones of its modality. The
    loss is the mean over both modalities and the identities that have images of both, summed over the
    branches.

    Args:
        margin: 0 or more.

    Source: DEEN (Zhang and Wang, CVPR 2023), and its published code.
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
        # Each image has the row of its identity. The device is not asked which identities there are.
        same = targets[:, None] == targets
        first = ~same.tril(-1).any(dim=1)
        centers, present = {}, {}
        for branch in (0, *BRANCHES):
            for modality in (Modality.VISIBLE, Modality.INFRARED):
                members = (same & (branches == branch) & (modalities == modality)).to(embeddings.dtype)
                count = members.sum(dim=1, keepdim=True)
                centers[branch, modality] = members @ embeddings / count.clamp(min=1)
                present[modality] = count[:, 0] > 0
        both = present[Modality.VISIBLE] & present[Modality.INFRARED]
        others = ~same & both

        values = []
        for branch in BRANCHES:
            for own, other in ((Modality.VISIBLE, Modality.INFRARED), (Modality.INFRARED, Modality.VISIBLE)):
                center = centers[branch, own]
                distance = between(center, centers[0, other])
                own_distance = between(center, centers[0, own]).detach()
                values.append(
                    F.relu(distance - own_distance + self.margin)
                    + F.relu(distance - to_nearest(center, others) + self.margin) / 2
                    + F.relu(distance - to_nearest(centers[0, own], others) + self.margin) / 2
                )
        counted = first & both
        total = torch.stack(values).sum(dim=0) / 2
        return (total * counted).sum() / counted.sum().clamp(min=1)


@LOSS_REGISTRY.register()
class OrthogonalityLoss(nn.Module):
    """The features of an image's two branches are orthogonal: their inner products, summed over the images,
    by the number of all features.

    Source: DEEN (Zhang and Wang, CVPR 2023), and its published code.
    """

    config_key = "ORT"
    whole_batch = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "OrthogonalityLoss":
        return cls()

    def forward(self, embeddings: Tensor, branches: Tensor) -> Tensor:
        """embeddings: (N, D) float; branches: (N,) int64, in which images follow each other in one order
        -> scalar."""
        _, first, second = embeddings[branches.argsort(stable=True)].chunk(3)
        return (first * second).sum() / len(embeddings)


def between(first: Tensor, second: Tensor) -> Tensor:
    """(N, D), (N, D) -> (N,) distances of rows."""
    return (first - second).pow(2).sum(dim=1).clamp(min=1e-12).sqrt()


def to_nearest(centers: Tensor, others: Tensor) -> Tensor:
    """Distance of each of (N, D) to the nearest that ``others``, (N, N) bool, allows; infinite for none."""
    return euclidean_dist(centers, centers).masked_fill(~others, torch.inf).amin(dim=1)
