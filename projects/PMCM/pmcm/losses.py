"""The three losses of PMCM."""

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.modality import Modality
from vireid.registries import LOSS_REGISTRY


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
    """PMML: the predictions for mixed images agree with those for visible and for infrared images.

    Mean over the global prediction and each stripe's of KL(visible || mixed) + KL(infrared || mixed).

    Args:
        detach: whose prediction is a fixed target: "none", "originals" or "mixed".
        level: "pair" compares each mixed image with its own two sources; "modality" compares, for each
            identity, the mean predictions of its images of each modality.

    Source: PMCM, arXiv 2302.08212; the level and the detached side are ours.
    """

    config_key = "PMML"

    def __init__(self, detach: str = "none", level: str = "pair"):
        super().__init__()
        self.detach, self.level = detach, level
        self.whole_batch = level == "modality"  # which compares means over an identity's images

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PatchMixedModalityLoss":
        node = cfg.MODEL.LOSSES.PMML
        return cls(node.DETACH, node.LEVEL)

    def forward(
        self,
        pred_class_logits: Tensor,
        mixed_sources: Tensor,
        targets: Tensor,
        modalities: Tensor,
        part_logits: Tensor | None = None,
    ) -> Tensor:
        """pred_class_logits: (N, C), the last M of them of mixed images; mixed_sources: (M, 2) positions
        of their visible and infrared sources; targets, modalities: (N,) int64; part_logits: (S, N, C) where
        the head has stripes -> scalar."""
        logits = pred_class_logits.unsqueeze(0)
        if part_logits is not None:
            logits = torch.cat([logits, part_logits])
        if len(mixed_sources) == 0:
            return logits.sum() * 0
        if self.level == "pair":
            originals, mixed = logits.log_softmax(-1), logits[:, -len(mixed_sources) :].log_softmax(-1)
            visible, infrared = (originals[:, source] for source in mixed_sources.unbind(1))
        else:
            visible, infrared, mixed = mean_log_predictions(logits, targets, modalities)
        if self.detach == "originals":
            visible, infrared = visible.detach(), infrared.detach()
        elif self.detach == "mixed":
            mixed = mixed.detach()
        return log_divergence(visible, mixed) + log_divergence(infrared, mixed)

    def count(self, mixed_sources: Tensor) -> int:
        """Mixed images: how many pairs of sources the mean of the level "pair" is over."""
        return len(mixed_sources)


def mean_log_predictions(logits: Tensor, targets: Tensor, modalities: Tensor) -> list[Tensor]:
    """Logarithms of the mean predictions of each identity's visible, infrared and mixed images.

    Args:
        logits: (H, N, C).
        targets, modalities: (N,) int64.

    Returns:
        For each modality (H, I, C), of the I identities that have images of all three.
    """
    identities, identity = targets.unique(return_inverse=True)
    group = identity * len(Modality) + modalities
    members = torch.bincount(group, minlength=len(identities) * len(Modality))
    complete = (members > 0).view(len(identities), len(Modality)).all(dim=1)
    # The logarithm of a mean of tiny probabilities: each group's are divided by their largest first.
    logs = logits.log_softmax(-1)
    largest = logs.new_full((len(logits), len(members), logits.shape[2]), -torch.inf)
    largest = largest.scatter_reduce(1, group.view(1, -1, 1).expand_as(logs), logs.detach(), "amax")
    sums = torch.zeros_like(largest).index_add(1, group, (logs - largest[:, group]).exp())
    means = sums / members.clamp(min=1).view(1, -1, 1)
    means, largest = (values.unflatten(1, (len(identities), len(Modality))) for values in (means, largest))
    return [means[:, complete, modality].log() + largest[:, complete, modality] for modality in Modality]


def divergence(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Mean over all but the last axis (the classes) of KL(softmax(logits) || softmax(other_logits))."""
    return log_divergence(logits.log_softmax(-1), other_logits.log_softmax(-1))


def log_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Mean over all but the last axis (the classes) of KL(p || q), from logarithms of the probabilities."""
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()
