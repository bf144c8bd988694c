"""Backbones of our own, the toolkit's built with clear errors, and what a backbone gives."""

from typing import NamedTuple

import torch
from fastreid.layers import get_norm
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.backbones.resnet import BasicBlock, ResNet
from fastreid.modeling.backbones.vision_transformer import VisionTransformer, build_vit_backbone
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.modeling.modes import evaluation_mode
from vireid.modeling.pretrained import load_pretrained
from vireid.registries import find

__all__ = ["FeatureMap", "SmallResNet", "VisionTransformerMap", "build_backbone", "probe_feature_map"]


class SmallResNet(ResNet):
    """The toolkit's ResNet with basic blocks, of any width and number of blocks: for CPUs and tests."""

    def __init__(self, width: int, blocks: tuple[int, int, int, int], last_stride: int, norm: str):
        nn.Module.__init__(self)
        self.inplanes = width
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = get_norm(norm, width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        strides = (1, 2, 2, last_stride)
        for stage, (count, stride) in enumerate(zip(blocks, strides)):
            layer = self._make_layer(BasicBlock, width * 2**stage, count, stride, norm)
            self.add_module(f"layer{stage + 1}", layer)
        for stage in (1, 2, 3, 4):
            setattr(self, f"NL_{stage}_idx", [])  # no non-local blocks
        self.random_init()


@BACKBONE_REGISTRY.register()
def build_small_resnet_backbone(cfg: CfgNode) -> SmallResNet:
    """ResNet-10 (DEPTH "10x") or ResNet-18 ("18x") of MODEL.BACKBONE.WIDTH instead of 64 channels."""
    depths = {"10x": (1, 1, 1, 1), "18x": (2, 2, 2, 2)}
    backbone = cfg.MODEL.BACKBONE
    return SmallResNet(backbone.WIDTH, depths[backbone.DEPTH], backbone.LAST_STRIDE, backbone.NORM)


def build_backbone(cfg: CfgNode) -> nn.Module:
    """Build MODEL.BACKBONE and load its pretrained weights.

    Raises:
        ConfigError: a name or variant that cannot be, or weights that cannot be had or do not fit.
    """
    name, depth, norm = cfg.MODEL.BACKBONE.NAME, cfg.MODEL.BACKBONE.DEPTH, cfg.MODEL.BACKBONE.NORM
    untrained = cfg.clone()
    untrained.defrost()
    untrained.MODEL.BACKBONE.PRETRAIN = False
    try:
        backbone = find(BACKBONE_REGISTRY, name, "MODEL.BACKBONE.NAME")(untrained)
    except ValueError as error:
        if norm != "GN":
            raise
        raise ConfigError(
            f"MODEL.BACKBONE.NORM GN makes 32 groups of channels, which {name} {depth} cannot ({error}); "
            "set it to BN"
        ) from None
    except KeyError as error:
        if error.args != (depth,):
            raise
        raise ConfigError(f"MODEL.BACKBONE.DEPTH is {depth!r}, which {name} does not have") from None
    if norm != "BN" and not any(isinstance(m, type(get_norm(norm, 32))) for m in backbone.modules()):
        raise ConfigError(f"MODEL.BACKBONE.NORM {norm} has no effect in {name}; set it to BN")
    if cfg.MODEL.BACKBONE.PRETRAIN:
        if hasattr(backbone, "load_pretrained"):  # of a backbone that knows where its weights are
            backbone.load_pretrained(cfg)
        else:
            load_pretrained(backbone, cfg)
    return backbone


class FeatureMap(NamedTuple):
    """What a backbone gives for one image; ``signed``: whether some values are negative; ``branches``: how
    many maps of this size."""

    channels: int
    height: int
    width: int
    signed: bool
    branches: int = 1


@torch.no_grad()
def probe_feature_map(backbone: nn.Module, size: tuple[int, int]) -> FeatureMap:
    """The feature map that a backbone gives for an image of ``size`` (height, width).

    The image is noise, the same in every call. The backbone's mode and the caller's generators stay as
    they are.
    """
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with evaluation_mode(backbone):
        features: Tensor = backbone(image)
    channels, *spatial = features.shape[1:]
    height, width = spatial if spatial else (1, 1)
    return FeatureMap(channels, height, width, bool((features < 0).any()), len(features))


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
