"""What is known of each of the toolkit's backbones, and of backbones that describe themselves."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from yacs.config import CfgNode

OPTIONS = ("WITH_IBN", "WITH_SE", "WITH_NL")


@dataclass(frozen=True)
class Family:
    """One record for a backbone.

    Attributes:
        depths: the values of MODEL.BACKBONE.DEPTH that build; () where any may.
        options: those of OPTIONS that have an effect.
        stem: the modules that each modality gets a copy of under MODEL.TWO_STREAM.SPECIFIC ("auto",); ()
            where they are not known.
        stages: where adapters stand: the modules that hold the blocks at 1/4, 1/8 and 1/16 of the image (in
            EfficientNet, the second of two of the last), or the last two alone; or one that holds the blocks
            of all resolutions; () where they are not known; None where blocks pass tokens instead of maps.
        patch_size: side of a transformer's patches in pixels; 0 for others.
        weights: key of the pretrained weights in the toolkit's ``model_urls``.
    """

    depths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    stem: tuple[str, ...] = ()
    stages: tuple[str, ...] | None = ()
    patch_size: int = 0
    weights: str = "{depth}"

    def weights_key(self, backbone: CfgNode) -> str:
        """The key for the variant that MODEL.BACKBONE names."""
        return self.weights.format(
            depth=backbone.DEPTH,
            number=backbone.DEPTH.rstrip("x"),
            se="se_" if backbone.WITH_SE else "",
            ibn="ibn_" if backbone.WITH_IBN else "",
        )


_RESNET_STEM, _RESNET_STAGES = ("conv1", "bn1"), ("layer1", "layer2", "layer3")
_VIT = Family(("small", "base"), stem=("patch_embed",), stages=None, patch_size=16)

FAMILIES: dict[str, Family] = {
    "build_small_resnet_backbone": Family(("10x", "18x"), stem=_RESNET_STEM, stages=_RESNET_STAGES),
    "build_resnet_backbone": Family(
        ("18x", "34x", "50x", "101x"),
        OPTIONS,
        stem=_RESNET_STEM,
        stages=_RESNET_STAGES,
        weights="{se}{ibn}{depth}",
    ),
    "build_resnext_backbone": Family(
        ("50x", "101x"),
        ("WITH_IBN", "WITH_NL"),
        stem=_RESNET_STEM,
        stages=_RESNET_STAGES,
        weights="{ibn}{depth}",
    ),
    "build_resnest_backbone": Family(
        ("50x", "101x", "200x", "269x"),
        stem=_RESNET_STEM,
        stages=_RESNET_STAGES,
        weights="resnest{number}",
    ),
    "build_osnet_backbone": Family(
        ("x1_0", "x0_75", "x0_5", "x0_25"),
        ("WITH_IBN",),
        stem=("conv1",),
        stages=("conv2", "conv3", "conv4"),
        weights="osnet_{ibn}{depth}",
    ),
    "build_regnet_backbone": Family(
        tuple(f"{megaflops}{kind}" for kind in "xy" for megaflops in (200, 400, 800, 1600, 3200, 4000, 6400)),
        stem=("stem",),
        stages=("s1", "s2", "s3"),
    ),
    "build_effnet_backbone": Family(
        ("b0", "b1", "b2", "b3", "b4", "b5"), stem=("stem",), stages=("s2", "s3", "s5")
    ),
    "build_shufflenetv2_backbone": Family(
        ("0.5x", "1.0x", "1.5x", "2.0x"), stem=("first_conv",), stages=("features",)
    ),
    "build_mobilenetv2_backbone": Family(
        ("1.0x", "0.75x", "0.5x", "0.35x", "0.25x", "0.1x"), stem=("features.0",), stages=("features",)
    ),
    "build_mobilenetv3_backbone": Family(("Large", "Small"), stem=("features.0",), stages=("features",)),
    "build_repvgg_backbone": Family(
        ("A0", "A1", "A2", "B0", "B1", "B1g2", "B1g4", "B2", "B2g2", "B2g4", "B3", "B3g2", "B3g4"),
        stem=("stage0",),
        stages=("stage1", "stage2", "stage3"),
    ),
    "build_vit_backbone": _VIT,
    "build_vit_map_backbone": _VIT,
}


def family_of(builder: str, backbone: nn.Module | None = None) -> Family:
    """The record of a backbone; what the backbone itself says comes first.

    Args:
        builder: MODEL.BACKBONE.NAME.
        backbone: may have ``stem_modules`` and ``stage_modules``, with the values of ``stem`` and ``stages``.
    """
    family = FAMILIES.get(builder, Family())
    own: dict[str, Any] = {
        field: getattr(backbone, attribute)
        for field, attribute in (("stem", "stem_modules"), ("stages", "stage_modules"))
        if hasattr(backbone, attribute)
    }
    return replace(family, **own)
