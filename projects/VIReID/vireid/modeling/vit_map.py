"""The toolkit's vision transformer with a feature map instead of one token."""

import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.backbones.vision_transformer import VisionTransformer, build_vit_backbone
from torch import Tensor
from yacs.config import CfgNode


class VisionTransformerMap(VisionTransformer):
    """The toolkit's VisionTransformer, its weights included, that gives its patch tokens in their places.

    The class token takes part in the attention and is then left out: the head's pooling makes the
    global feature of the patches.
    """

    grid: tuple[int, int]  # rows and columns of patches

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W) of INPUT.SIZE_TRAIN -> (N, C, rows, columns)."""
        patches = self.patch_embed(x)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1)
        tokens = self.pos_drop(tokens + self.pos_embed)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, self.grid).contiguous()


@BACKBONE_REGISTRY.register()
def build_vit_map_backbone(cfg: CfgNode) -> VisionTransformerMap:
    """``build_vit_backbone`` with a feature map, for stripes and other heads that need one."""
    vit = build_vit_backbone(cfg)
    vit.grid = (vit.patch_embed.num_y, vit.patch_embed.num_x)
    vit.__class__ = VisionTransformerMap  # the same modules under another forward
    return vit  # type: ignore[no-any-return]
