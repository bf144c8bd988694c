"""The three losses of PMCM."""

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.registries import LOSS_REGISTRY

DETACH = ("none", "originals", "mixed")


@LOSS_REGISTRY.register()
class CenterToCenterLoss(nn.Module):
    """Squared distance between an identity's centers of any two modalities.

    A center is the mean of an identity's L2-normalized features of one modality; the loss is the mean
    over the pairs of modalities that each identity of the batch has.

    Source: PMCM, arXiv 2302.08212; the normalization and the squared distance are ours.
    """

    config_key = "C2C"
    whole_batch = True

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CenterToCenterLoss":
        return cls()

    def forward(self, embeddings: Tensor, targets: Tensor, modalities: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets, modalities: (N,) int64 -> scalar."""
        # Identities are numbered from 0. There are at most as many as images: so many places are kept,
        # because the device would have to be asked for their number.
        in_order, order = targets.sort()
        number = F.pad((in_order[1:] != in_order[:-1]).long(), (1, 0)).cumsum(0)[: len(targets)]
        group = torch.empty_like(number).scatter(0, order, number) * len(Modality) + modalities
        places = len(targets)
        groups = places * len(Modality)
        members = embeddings.new_zeros(groups).index_add_(0, group, torch.ones_like(embeddings[:, 0]))
        directions = F.normalize(embeddings)
        sums = embeddings.new_zeros(groups, embeddings.shape[1]).index_add_(0, group, directions)
        centers = (sums / members.clamp(min=1).unsqueeze(1)).view(places, len(Modality), -1)
        present = (members > 0).view(places, len(Modality))

        pairs = list(combinations(Modality, 2))
        differences = torch.stack([centers[:, first] - centers[:, second] for first, second in pairs], dim=1)
        distances = differences.pow(2).sum(dim=2)
        both = torch.stack([present[:, first] & present[:, second] for first, second in pairs], dim=1)
        return (distances * both).sum() / both.sum().clamp(min=1)


@LOSS_REGISTRY.register()
class PartAlignmentLoss(nn.Module):
    """Each stripe tells the identities apart, and agrees with the global prediction.

    Mean over stripes of cross-entropy + KL(global, detached || stripe).

    Source: PMCM, arXiv 2302.08212; the form of the agreement is ours.
    """

    config_key = "PART"
    whole_batch = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PartAlignmentLoss":
        return cls()

    def forward(self, part_logits: Tensor, pred_class_logits: Tensor, targets: Tensor) -> Tensor:
        """part_logits: (S, N, C); pred_class_logits: (N, C); targets: (N,) int64 -> scalar."""
        stripes = part_logits.shape[0]
        cross_entropy = F.cross_entropy(part_logits.flatten(0, 1), targets.repeat(stripes))
        agreement = divergence(pred_class_logits.detach().expand_as(part_logits), part_logits)
        return cross_entropy + agreement


@LOSS_REGISTRY.register()
class PatchMixedModalityLoss(nn.Module):
    """PMML: the prediction for a mixed image agrees with those for its two sources.

    Mean over the global prediction and each stripe's of KL(visible || mixed) + KL(infrared || mixed).

    Args:
        detach: whose prediction is a fixed target: "none", "originals" or "mixed".

    Source: PMCM, arXiv 2302.08212; which side is detached is ours.
    """

    config_key = "PMML"
    whole_batch = False

    def __init__(self, detach: str = "none"):
        super().__init__()
        if detach not in DETACH:
            raise ConfigError(f"MODEL.LOSSES.PMML.DETACH is {detach!r}; expected one of {', '.join(DETACH)}")
        self.detach = detach

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PatchMixedModalityLoss":
        return cls(cfg.MODEL.LOSSES.PMML.DETACH)

    def forward(
        self, pred_class_logits: Tensor, mixed_sources: Tensor, part_logits: Tensor | None = None
    ) -> Tensor:
        """pred_class_logits: (N, C), the last M of them of mixed images; mixed_sources: (M, 2) positions
        of their visible and infrared sources; part_logits: (S, N, C) where the head has stripes -> scalar."""
        logits = pred_class_logits.unsqueeze(0)
        if part_logits is not None:
            logits = torch.cat([logits, part_logits])
        if len(mixed_sources) == 0:
            return logits.sum() * 0
        mixed = logits[:, -len(mixed_sources) :]
        originals = logits
        if self.detach == "originals":
            originals = originals.detach()
        elif self.detach == "mixed":
            mixed = mixed.detach()
        visible, infrared = mixed_sources.unbind(1)
        return divergence(originals[:, visible], mixed) + divergence(originals[:, infrared], mixed)

    def count(self, mixed_sources: Tensor) -> int:
        """Mixed images."""
        return len(mixed_sources)


def divergence(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Mean over all but the last axis (the classes) of KL(softmax(logits) || softmax(other_logits))."""
    log_p, log_q = logits.log_softmax(-1), other_logits.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()
