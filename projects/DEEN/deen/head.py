"""DEEN's head."""

import torch
import torch.nn.functional as F
from fastreid.modeling.heads import REID_HEADS_REGISTRY, EmbeddingHead
from torch import Tensor


@REID_HEADS_REGISTRY.register()
class DEENHead(EmbeddingHead):
    """The toolkit's EmbeddingHead; its embedding is the features before and after the neck, each of length 1.

    The meta-architecture joins those of an image's branches: with DEE, the cosine of two embeddings is the
    mean of six cosines, by whose sum the published code ranks.
    """

    def forward(self, features: Tensor, targets: Tensor | None = None) -> dict[str, Tensor] | Tensor:
        """features: (N, C, H, W) -> in training what EmbeddingHead gives, in evaluation (N, 2 D)."""
        if self.training:
            return super().forward(features, targets)
        pooled = self.pool_layer(features)
        parts = (pooled, self.bottleneck(pooled))
        return torch.cat([F.normalize(part[..., 0, 0]) for part in parts], dim=1)
