"""The toolkit's head with generalized-mean pooling as the published codes have it."""

import torch
from fastreid.modeling.heads import REID_HEADS_REGISTRY, EmbeddingHead
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError


class UnclampedGeM(nn.Module):
    """Generalized-mean pooling as (mean(x ** 3) + 1e-12) ** (1 / 3).

    The toolkit's GeneralizedMeanPooling first raises every value to 1e-6 at least; this one does not.
    Where the mean is negative, as it may be after another activation than ReLU, so is the root.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) -> (N, C, 1, 1)."""
        mean = x.float().pow(3).mean(dim=(2, 3), keepdim=True)
        root = (mean.abs() + 1e-12).pow(1 / 3)
        return torch.where(mean < 0, -root, root).to(x.dtype)


@REID_HEADS_REGISTRY.register()
class GeMHead(EmbeddingHead):
    """The toolkit's EmbeddingHead with UnclampedGeM in place of its GeneralizedMeanPooling.

    Source: the published codes of AGW, CAJ and MCJA.
    """

    def __init__(self, cfg: CfgNode):
        super().__init__(cfg)
        pooling = cfg.MODEL.HEADS.POOL_LAYER
        if pooling != "GeneralizedMeanPooling":
            raise ConfigError(
                f"MODEL.HEADS.POOL_LAYER is {pooling}, but {type(self).__name__} is EmbeddingHead with "
                "another generalized mean; set it to GeneralizedMeanPooling, or MODEL.HEADS.NAME to "
                "EmbeddingHead"
            )
        self.pool_layer = UnclampedGeM()
