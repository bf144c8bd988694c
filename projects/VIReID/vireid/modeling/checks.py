"""Checks of MODEL.BACKBONE and MODEL.HEADS: before anything is built, and once the feature map is known."""

from typing import TYPE_CHECKING

from fastreid.layers import any_softmax, pooling
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.utils import comm
from torch import nn
from yacs.config import CfgNode

from vireid.errors import ConfigError, choices
from vireid.modeling.families import OPTIONS, family_of
from vireid.registries import find

if TYPE_CHECKING:
    from vireid.modeling.backbones import FeatureMap


def check_model(cfg: CfgNode) -> None:
    """Refuse, before anything is built, a backbone, variant or head that cannot be.

    Raises:
        ConfigError: names the key, its value and the values that can be.
    """
    backbone, heads = cfg.MODEL.BACKBONE, cfg.MODEL.HEADS
    find(BACKBONE_REGISTRY, backbone.NAME, "MODEL.BACKBONE.NAME")
    for key, value, known in (
        ("HEADS.POOL_LAYER", heads.POOL_LAYER, pooling.__all__),
        ("HEADS.CLS_LAYER", heads.CLS_LAYER, any_softmax.__all__),
    ):
        if value not in known:
            raise ConfigError(f"MODEL.{key} is {value!r}; {choices(value, known)}")
    if "syncBN" in (backbone.NORM, heads.NORM) and comm.get_world_size() > 1 and cfg.MODEL.DEVICE == "cpu":
        raise ConfigError("MODEL.BACKBONE.NORM or HEADS.NORM is syncBN, which joins GPUs only; set it to BN")
    family = family_of(backbone.NAME)
    if not family.depths:
        return
    if backbone.DEPTH not in family.depths:
        raise ConfigError(
            f"MODEL.BACKBONE.DEPTH is {backbone.DEPTH!r}, which {backbone.NAME} does not have; "
            f"it has {', '.join(family.depths)}"
        )
    for option in OPTIONS:
        if backbone[option] and option not in family.options:
            raise ConfigError(f"MODEL.BACKBONE.{option} True has no effect in {backbone.NAME}; set it False")
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


def check_head(cfg: CfgNode, heads: nn.Module, feature_map: "FeatureMap") -> None:
    """Refuse a pooling that would lose a part of the feature map without a word.

    Args:
        heads: one without a ``pool_layer`` is not looked at.
        feature_map: what the backbone gives.

    Raises:
        ConfigError: names the pooling and those that can be.
    """
    layer, name = getattr(heads, "pool_layer", None), cfg.MODEL.HEADS.POOL_LAYER
    height, width = feature_map.height, feature_map.width
    if isinstance(layer, pooling.Identity | pooling.Flatten) and height * width > 1:
        raise ConfigError(
            f"MODEL.HEADS.POOL_LAYER is {name}, which pools nothing, but {cfg.MODEL.BACKBONE.NAME} gives "
            f"{height}x{width} places: the head would take the first alone; set it to GlobalAvgPool or "
            "GeneralizedMeanPooling"
        )
    clamping = pooling.GeneralizedMeanPooling | pooling.ClipGlobalAvgPool
    if isinstance(layer, clamping) and feature_map.signed:
        raise ConfigError(
            f"MODEL.HEADS.POOL_LAYER is {name}, which raises negative values to 0, but the features of "
            f"{cfg.MODEL.BACKBONE.NAME} have either sign; set it to GlobalAvgPool"
        )
