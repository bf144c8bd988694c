"""The cross-modality retrieval loss of MCJA."""

import logging

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from mcja.ranks import soft_rank
from vireid.errors import ConfigError
from vireid.modality import Modality
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

    def forward(self, embeddings: Tensor, targets: Tensor, modalities: Tensor) -> Tensor:
        """embeddings: (N, D) float; targets, modalities: (N,) int64 -> scalar."""
        losses = []
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
            directions = F.normalize(embeddings)
            for modality in Modality:
                queries = modalities == modality
                match = targets[queries, None] == targets[~queries]
                counted = match.any(dim=1) & ~match.all(dim=1)
                if counted.any():
                    distances = (1 - directions[queries][counted] @ directions[~queries].T) / 2
                    losses.append(self.rank_error(distances, match[counted]))
            if losses:
                return torch.stack(losses).mean()
            self.warn(modalities)
            return embeddings.sum() * 0

    def rank_error(self, distances: Tensor, match: Tensor) -> Tensor:
        """distances: (Q, G); match: (Q, G) bool -> mean of |rank - target|."""
        last = torch.full_like(distances, match.shape[1])
        target = torch.where(match, torch.ones_like(last), last)
        return (soft_rank(distances, self.regularization_strength) - target).abs().mean()

    def warn(self, modalities: Tensor) -> None:
        """Say once why there was nothing to rank."""
        if self.warned:
            return
        self.warned = True
        present = [Modality(value).name.lower() for value in modalities.unique().tolist()]
        logger.warning(
            f"The CMR loss is zero for a batch of {len(modalities)} images ({', '.join(present) or 'none'}): "
            "no image has both a match and a mismatch in another modality. If most batches are so, raise "
            "SOLVER.IMS_PER_BATCH or DATALOADER.NUM_INSTANCE (this is said once)"
        )
