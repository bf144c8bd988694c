"""What is known of each backbone, and the check of MODEL.BACKBONE and MODEL.HEADS against it."""

from dataclasses import dataclass

from fastreid.layers import any_softmax, pooling
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.utils import comm
from torch import nn
from yacs.config import CfgNode

from vireid.errors import ConfigError, closest

NORMS = ("BN", "syncBN", "GhostBN", "FrozenBN", "GN")
OPTIONS = ("WITH_IBN", "WITH_SE", "WITH_NL")


@dataclass(frozen=True)
class Family:
    """The values of MODEL.BACKBONE.DEPTH that build, which of OPTIONS have an effect, and, for a
    transformer, the side of its patches."""

    depths: tuple[str, ...]
    options: tuple[str, ...] = ()
    patch_size: int = 0


_VIT = Family(("small", "base"), patch_size=16)
FAMILIES: dict[str, Family] = {
    "build_small_resnet_backbone": Family(("10x", "18x")),
    "build_resnet_backbone": Family(("18x", "34x", "50x", "101x"), OPTIONS),
    "build_resnext_backbone": Family(("50x", "101x"), ("WITH_IBN", "WITH_NL")),
    "build_resnest_backbone": Family(("50x", "101x", "200x", "269x")),
    "build_osnet_backbone": Family(("x1_0", "x0_75", "x0_5", "x0_25"), ("WITH_IBN",)),
    "build_regnet_backbone": Family(
        tuple(f"{megaflops}{kind}" for kind in "xy" for megaflops in (200, 400, 800, 1600, 3200, 4000, 6400))
    ),
    "build_effnet_backbone": Family(("b0", "b1", "b2", "b3", "b4", "b5")),
    "build_shufflenetv2_backbone": Family(("0.5x", "1.0x", "1.5x", "2.0x")),
    "build_mobilenetv2_backbone": Family(("1.0x", "0.75x", "0.5x", "0.35x", "0.25x", "0.1x")),
    "build_mobilenetv3_backbone": Family(("Large", "Small")),
    "build_repvgg_backbone": Family(
        ("A0", "A1", "A2", "B0", "B1", "B1g2", "B1g4", "B2", "B2g2", "B2g4", "B3", "B3g2", "B3g4")
    ),
    "build_vit_backbone": _VIT,
    "build_vit_map_backbone": _VIT,
}


def check_model(cfg: CfgNode) -> None:
    """Refuse, before anything is built, a backbone, variant or head that cannot be.

    Raises:
        ConfigError: names the key, its value and the values that can be.
    """
    backbone, heads = cfg.MODEL.BACKBONE, cfg.MODEL.HEADS
    for key, value, known in (
        ("BACKBONE.NAME", backbone.NAME, BACKBONE_REGISTRY._obj_map),
        ("BACKBONE.NORM", backbone.NORM, NORMS),
        ("HEADS.NORM", heads.NORM, NORMS),
        ("HEADS.POOL_LAYER", heads.POOL_LAYER, pooling.__all__),
        ("HEADS.CLS_LAYER", heads.CLS_LAYER, any_softmax.__all__),
        ("HEADS.NECK_FEAT", heads.NECK_FEAT, ("before", "after")),
    ):
        if value not in known:
            raise ConfigError(f"MODEL.{key} is {value!r}; {closest(value, known)}")
    family = FAMILIES.get(backbone.NAME)
    if family is None:
        return
    if backbone.DEPTH not in family.depths:
        raise ConfigError(
            f"MODEL.BACKBONE.DEPTH is {backbone.DEPTH!r}, which {backbone.NAME} does not have; "
            f"it has {', '.join(family.depths)}"
        )
    for option in OPTIONS:
        if backbone[option] and option not in family.options:
            raise ConfigError(f"MODEL.BACKBONE.{option} True has no effect in {backbone.NAME}; set it False")
    if "syncBN" in (backbone.NORM, heads.NORM) and comm.get_world_size() > 1 and cfg.MODEL.DEVICE == "cpu":
        raise ConfigError("MODEL.BACKBONE.NORM or HEADS.NORM is syncBN, which joins GPUs only; set it to BN")
    if family.patch_size:
        _check_patches(cfg, family.patch_size)


def _check_patches(cfg: CfgNode, patch_size: int) -> None:
    train, test = tuple(cfg.INPUT.SIZE_TRAIN), tuple(cfg.INPUT.SIZE_TEST)
    if train != test:
        raise ConfigError(
            f"INPUT.SIZE_TEST is {test}, but the position embeddings of {cfg.MODEL.BACKBONE.NAME} are those "
            f"of INPUT.SIZE_TRAIN {train}; make them equal"
        )
    if min(train) < patch_size:
        raise ConfigError(
            f"INPUT.SIZE_TRAIN is {train}; {cfg.MODEL.BACKBONE.NAME} needs at least "
            f"{patch_size}x{patch_size}, the size of its patches"
        )


def check_head(cfg: CfgNode, heads: nn.Module) -> None:
    """Refuse a pooling that would drop a part of this backbone's feature map without a word.

    Args:
        cfg: with the COMPUTED_MAP_SIZE of the backbone.
        heads: built from it; one without a ``pool_layer`` is not looked at.

    Raises:
        ConfigError: names the pooling and those that can be.
    """
    layer = getattr(heads, "pool_layer", None)
    name, (height, width) = cfg.MODEL.HEADS.POOL_LAYER, cfg.MODEL.BACKBONE.COMPUTED_MAP_SIZE
    if isinstance(layer, pooling.Identity | pooling.Flatten) and height * width > 1:
        raise ConfigError(
            f"MODEL.HEADS.POOL_LAYER is {name}, which pools nothing, but {cfg.MODEL.BACKBONE.NAME} gives "
            f"{height}x{width} places: the head would take the first alone; set it to GlobalAvgPool or "
            "GeneralizedMeanPooling"
        )
    clamping = pooling.GeneralizedMeanPooling | pooling.ClipGlobalAvgPool
    family = FAMILIES.get(cfg.MODEL.BACKBONE.NAME)
    if family is not None and family.patch_size and isinstance(layer, clamping):
        raise ConfigError(
            f"MODEL.HEADS.POOL_LAYER is {name}, which raises negative values to 0: a half of the features of "
            f"{cfg.MODEL.BACKBONE.NAME}; set it to GlobalAvgPool"
        )
