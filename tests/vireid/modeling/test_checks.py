"""Values of MODEL.BACKBONE and MODEL.HEADS: what passes the checks builds, what cannot be is refused."""

import pytest
import torch
from fastreid.modeling import build_model
from torch import nn

from backbone_matrix import SMALLEST, Variant, two_stream
from configs import tiny_config
from vireid.config.toolkit_keys import HEAD_NORMS, NORMS
from vireid.engine.checks import check_config
from vireid.errors import ConfigError
from vireid.modeling.backbones import build_backbone, probe_feature_map
from vireid.modeling.meta_arch import build_head, with_feature_map
from vireid.modeling.modes import evaluation_mode

SIGNED = {"effnet", "vit", "vit_map"}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("variant", [v for v in SMALLEST if v.family not in ("vit", "vit_map")], ids=str)
def test_each_norm_builds_or_is_refused(variant, norm):
    cfg = variant.config("baseline", MODEL__BACKBONE__NORM=norm)
    try:
        check_config(cfg)
        with torch.device("meta"):
            build_backbone(cfg)
    except ConfigError as error:
        assert norm == "GN" and "32 groups" in str(error)


@pytest.mark.parametrize("norm", NORMS)
def test_each_norm_of_the_head_builds_or_is_refused(norm):
    cfg = tiny_config(MODEL__HEADS__NORM=norm, MODEL__HEADS__EMBEDDING_DIM=32)
    if norm in HEAD_NORMS:
        check_config(cfg)
        build_model(cfg)
        return
    with pytest.raises(
        ConfigError, match="MODEL.HEADS.NORM is 'FrozenBN'; expected BN, syncBN, GhostBN or GN"
    ):
        check_config(cfg)


@pytest.mark.parametrize(
    "pooling", ["GeneralizedMeanPooling", "GeneralizedMeanPoolingP", "ClipGlobalAvgPool"]
)
@pytest.mark.parametrize("variant", SMALLEST, ids=str)
def test_a_pooling_that_clamps_is_refused_where_features_have_either_sign(variant, pooling):
    model = two_stream(variant)
    model.layout.set(torch.tensor([0]))  # of the image that is probed
    feature_map = probe_feature_map(model.backbone, variant.size)
    assert feature_map.signed == (variant.family in SIGNED)
    cfg = with_feature_map(variant.config("baseline", MODEL__HEADS__POOL_LAYER=pooling), feature_map)
    if variant.family not in SIGNED:
        assert type(build_head(cfg, feature_map).pool_layer).__name__ == pooling
        return
    with pytest.raises(ConfigError, match=f"POOL_LAYER is {pooling}, which raises negative values to 0"):
        build_head(cfg, feature_map)


def test_the_sign_of_a_plugins_map_is_found_out(monkeypatch):
    from fastreid.modeling.backbones import BACKBONE_REGISTRY

    class Signed(nn.Conv2d):
        stem_modules = ()

    monkeypatch.setitem(BACKBONE_REGISTRY._obj_map, "build_signed", lambda cfg: Signed(3, 32, 3, stride=16))
    settings = {"MODEL__BACKBONE__NAME": "build_signed", "MODEL__TWO_STREAM__SPECIFIC": ()}
    with pytest.raises(ConfigError, match="features of build_signed have either sign; set it to Gl"):
        build_model(tiny_config(**settings, MODEL__ADAPTERS=()))
    build_model(tiny_config(**settings, MODEL__ADAPTERS=(), MODEL__HEADS__POOL_LAYER="GlobalAvgPool"))


def test_probing_leaves_generators_and_modes_as_they_were():
    backbone = build_backbone(tiny_config()).train()
    backbone.layer1.eval()
    modes = [module.training for module in backbone.modules()]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    probe_feature_map(backbone, (64, 32))
    assert torch.equal(torch.rand(2), expected)
    assert [module.training for module in backbone.modules()] == modes


def test_evaluation_mode_puts_each_module_back_although_something_fails():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.BatchNorm1d(2)))
    model[1].eval()
    with pytest.raises(ZeroDivisionError), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise ZeroDivisionError
    assert [module.training for module in model.modules()] == [True, True, False, False]


def test_the_padded_pooling_is_torchvisions():
    from torchvision.models import resnet18

    cfg = Variant("resnet", "18x").config("baseline", MODEL__BACKBONE__LAST_STRIDE=2)
    model = build_model(tiny_config())  # MODEL.ADAPTERS of the baseline's recipe
    assert (model.backbone.maxpool.padding, model.backbone.maxpool.ceil_mode) == (1, False)
    published = resnet18(weights=None).eval()
    cfg.MODEL.TWO_STREAM.SPECIFIC = ()
    ours = build_model(cfg).backbone.eval()
    ours.load_state_dict(published.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 48)
    stem = published.maxpool(published.relu(published.bn1(published.conv1(images))))
    expected = published.layer4(published.layer3(published.layer2(published.layer1(stem))))
    torch.testing.assert_close(ours(images), expected, rtol=1e-5, atol=1e-5)
