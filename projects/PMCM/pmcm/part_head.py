"""A head with a global feature and horizontal stripes."""

import torch
import torch.nn.functional as F
from fastreid.layers import get_norm
from fastreid.layers.weight_init import weights_init_kaiming
from fastreid.modeling.heads import REID_HEADS_REGISTRY, EmbeddingHead
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError


@REID_HEADS_REGISTRY.register()
class PartEmbeddingHead(EmbeddingHead):
    """The toolkit's EmbeddingHead, and a neck and a classifier for each of S horizontal stripes.

    EMBEDDING_DIM reduces each stripe as it does the global feature, by a 1x1 convolution of its own in
    front of the neck: an embedding with stripes has (1 + S) EMBEDDING_DIM numbers, or (1 + S) FEAT_DIM.
    CLS_LAYER, SCALE, MARGIN and WITH_BNNECK are of the global feature: each stripe has a batch norm and a
    linear classifier.

    Args:
        cfg: MODEL.HEADS as for EmbeddingHead; PARTS.COUNT stripes; PARTS.IN_EMBEDDING.

    Raises:
        ConfigError: the feature map has fewer rows than there are to be stripes.

    Source: the stripes of PCB (Sun et al., ECCV 2018), as PMCM uses them.
    """

    def __init__(self, cfg: CfgNode):
        super().__init__(cfg)
        parts = cfg.MODEL.HEADS.PARTS
        height = cfg.MODEL.BACKBONE.COMPUTED_MAP_SIZE[0]
        if cfg.MODEL.BACKBONE.NAME == "build_vit_backbone":
            raise ConfigError(
                "MODEL.HEADS.NAME PartEmbeddingHead cuts a feature map into stripes, and build_vit_backbone "
                "gives one token; set MODEL.BACKBONE.NAME to build_vit_map_backbone, which gives its patches"
            )
        if not 1 <= parts.COUNT <= height:
            raise ConfigError(
                f"MODEL.HEADS.PARTS.COUNT is {parts.COUNT}, but the feature map of {cfg.MODEL.BACKBONE.NAME} "
                f"has {height} rows at INPUT.SIZE_TRAIN {tuple(cfg.INPUT.SIZE_TRAIN)}; set it to 1..{height}"
            )
        channels = cfg.MODEL.HEADS.EMBEDDING_DIM or cfg.MODEL.BACKBONE.FEAT_DIM
        self.in_embedding = parts.IN_EMBEDDING
        self.part_necks = nn.ModuleList(part_neck(cfg, channels) for _ in range(parts.COUNT))
        self.part_necks.apply(weights_init_kaiming)
        self.part_weights = nn.Parameter(torch.empty(parts.COUNT, cfg.MODEL.HEADS.NUM_CLASSES, channels))
        nn.init.normal_(self.part_weights, std=0.01)

    def forward(self, features: Tensor, targets: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """features: (N, C, H, W) -> in training the global outputs, part_features (S, N, C) and
        part_logits (S, N, classes); in evaluation the embedding (N, D), or (N, D + S D)."""
        outputs = super().forward(features, targets)
        if not self.training and not self.in_embedding:
            return outputs
        pooled = [self.pool_layer(stripe) for stripe in stripes(features, len(self.part_necks))]
        necks = torch.stack([neck(part)[..., 0, 0] for neck, part in zip(self.part_necks, pooled)])
        if not self.training:
            # Every stripe weighs as much as the global feature does.
            return torch.cat([F.normalize(part) for part in (outputs, *necks)], dim=1)
        outputs["part_features"] = torch.stack([part[..., 0, 0] for part in pooled])
        outputs["part_logits"] = torch.einsum("snd,scd->snc", necks, self.part_weights)
        return outputs


def part_neck(cfg: CfgNode, channels: int) -> nn.Module:
    """The neck of one stripe: a batch norm, after a 1x1 convolution where EMBEDDING_DIM reduces the stripe.

    Args:
        cfg: MODEL.HEADS, MODEL.BACKBONE.FEAT_DIM.
        channels: of the embedding.

    Returns:
        A module from (N, FEAT_DIM, 1, 1) to (N, channels, 1, 1).
    """
    norm: nn.Module = get_norm(cfg.MODEL.HEADS.NORM, channels, bias_freeze=True)
    if cfg.MODEL.HEADS.EMBEDDING_DIM > 0:
        return nn.Sequential(nn.Conv2d(cfg.MODEL.BACKBONE.FEAT_DIM, channels, 1, bias=False), norm)
    return norm


def stripes(features: Tensor, count: int) -> list[Tensor]:
    """Cut (N, C, H, W) into ``count`` horizontal stripes, top first; where they do not divide H, a row
    between two stripes belongs to both (as in adaptive pooling)."""
    height = features.shape[2]
    return [features[:, :, i * height // count : -(-(i + 1) * height // count)] for i in range(count)]
