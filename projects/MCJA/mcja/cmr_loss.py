"""The cross-modality retrieval loss of MCJA."""

import logging

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from mcja.ranks import soft_rank
from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.precision import autocast
from vireid.registries import LOSS_REGISTRY

logger = logging.getLogger("fastreid.mcja")


@LOSS_REGISTRY.register()
class CrossModalityRetrievalLoss(nn.Module):
    """Samples of one modality rank those of all others: matches first, everything else last.

    With G gallery samples, the soft rank of a match is drawn to 1 and that of a mismatch to G. Queries
    with no match, or with matches only, are left out, and so is a modality with no other query; where
    that leaves nothing, the loss is zero.

    Args:
        regularization_strength: of the soft rank of the distances (1 - cosine) / 2.

    Source: MCJA (Liang et al., IEEE TCSVT 2024; arXiv 2307.08316), section CMR.
    """

    config_key = "CMR"
    whole_batch = True

    def __init__(self, regularization_strength: float = 0.5):
        super().__init__()
        self.regularization_strength = regularization_strength
        self.warned = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CrossModalityRetrievalLoss":
        strength = cfg.MODEL.LOSSES.CMR.STRENGTH
        if strength <= 0:
            raise ConfigError(f"MODEL.LOSSES.CMR.STRENGTH is {strength}; expected a number above 0")
        return cls(strength)

    def forward(
        self,
        embeddings: Tensor,
        targets: Tensor,
        modalities: Tensor,
        sizes: tuple[int, ...] | None = None,
    ) -> Tensor:
        """embeddings: (N, D) float; targets, modalities: (N,) int64; sizes: how many images there are of each
        Modality, where they are in this order; where it is not given, the device is asked -> scalar."""
        with autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            if sizes is None:
                order = modalities.argsort(stable=True)
                embeddings, targets = embeddings[order], targets[order]
                sizes = tuple(modalities.bincount(minlength=len(Modality)).tolist())
            directions = F.normalize(embeddings)
            errors, present = [embeddings.sum() * 0], []
            for modality in range(len(sizes)):
                own, others = apart(directions, sizes, modality)
                own_targets, other_targets = apart(targets, sizes, modality)
                if not len(own) or not len(others):
                    continue
                match = own_targets[:, None] == other_targets
                counted = match.any(dim=1) & ~match.all(dim=1)
                ranks = self.rank_errors((1 - own @ others.T) / 2, match)
                errors.append((ranks * counted[:, None]).sum() / (counted.sum() * len(others)).clamp(min=1))
                present.append(counted.any())
            number = torch.stack(present).sum() if present else torch.zeros_like(targets).sum()
            if number.is_cpu and number == 0:  # elsewhere, the device would be waited for
                self.warn(sizes)
            return torch.stack(errors).sum() / number.clamp(min=1)

    def rank_errors(self, distances: Tensor, match: Tensor) -> Tensor:
        """distances: (Q, G); match: (Q, G) bool -> |rank - target| (Q, G)."""
        last = torch.full_like(distances, match.shape[1])
        target = torch.where(match, torch.ones_like(last), last)
        return (soft_rank(distances, self.regularization_strength) - target).abs()

    def warn(self, sizes: tuple[int, ...]) -> None:
        """Say once why there was nothing to rank."""
        if self.warned:
            return
        self.warned = True
        present = [modality.name.lower() for modality, size in zip(Modality, sizes) if size]
        logger.warning(
            f"The CMR loss is zero for a batch of {sum(sizes)} images ({', '.join(present) or 'none'}): "
            "no image has both a match and a mismatch in another modality. If most batches are so, raise "
            "SOLVER.IMS_PER_BATCH or DATALOADER.NUM_INSTANCE (this is said once)"
        )


def apart(values: Tensor, sizes: tuple[int, ...], modality: int) -> tuple[Tensor, Tensor]:
    """values: (N, ...), ordered by modality -> those of one modality, and all others."""
    parts = values.split(sizes)
    return parts[modality], torch.cat(parts[:modality] + parts[modality + 1 :])
