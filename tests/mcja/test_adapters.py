import copy

import pytest
import torch
from torch import nn

from mcja import ModalityDistributionAdapter
from mcja.adapters import adapted_blocks
from vireid.errors import ConfigError
from vireid.modeling.adapters import insert_adapters
from vireid.modeling.backbones import build_backbone
from vireid.modeling.families import FAMILIES

# The blocks behind which adapters stand by default; the channels there.
EXPECTED = {
    ("build_resnet_backbone", "18x"): ("layer2.0 layer2.1 layer3.0 layer3.1", (128, 256)),
    ("build_resnet_backbone", "50x"): ("layer2.2 layer2.3 layer3.3 layer3.4 layer3.5", (512, 1024)),
    ("build_small_resnet_backbone", "10x"): ("layer2.0 layer3.0", (16, 32)),
    ("build_resnext_backbone", "50x"): ("layer2.2 layer2.3 layer3.3 layer3.4 layer3.5", (512, 1024)),
    ("build_resnest_backbone", "50x"): ("layer2.2 layer2.3 layer3.3 layer3.4 layer3.5", (512, 1024)),
    ("build_osnet_backbone", "x0_25"): ("conv3.0 conv3.1 conv4.0 conv4.1", (96, 128)),
    ("build_regnet_backbone", "200x"): ("s2.b1 s3.b2 s3.b3 s3.b4", (56, 152)),
    ("build_effnet_backbone", "b0"): ("s3.b1 s3.b2 s5.b1 s5.b2 s5.b3", (40, 112)),
    ("build_repvgg_backbone", "A0"): ("stage2.2 stage2.3 stage3.11 stage3.12 stage3.13", (96, 192)),
    ("build_shufflenetv2_backbone", "0.5x"): (
        "features.2 features.3 features.9 features.10 features.11",
        (48, 96),
    ),
    ("build_mobilenetv2_backbone", "0.25x"): (
        "features.5 features.6 features.11 features.12 features.13",
        (8, 24),
    ),
    ("build_mobilenetv3_backbone", "Small"): (
        "features.2 features.3 features.6 features.7 features.8",
        (24, 40, 48),
    ),
    ("build_mobilenetv3_backbone", "Large"): (
        "features.5 features.6 features.10 features.11 features.12",
        (40, 80, 112),
    ),
}


def built(config, name="build_small_resnet_backbone", depth="10x", **overrides):
    cfg = config(MODEL__BACKBONE__NAME=name, MODEL__BACKBONE__DEPTH=depth, **overrides)
    return cfg, build_backbone(cfg).eval()


def adapted_modules(backbone):
    return {
        name.removesuffix(".mda"): module
        for name, module in backbone.named_modules()
        if isinstance(module, ModalityDistributionAdapter)
    }


def test_every_backbone_has_its_stages_or_a_reason():
    assert {name for name, _ in EXPECTED} | {"build_vit_backbone", "build_vit_map_backbone"} == set(FAMILIES)


@pytest.mark.parametrize("name, depth", EXPECTED)
def test_default_places_of_each_backbone_and_its_output_unchanged(config, name, depth):
    cfg, backbone = built(config, name, depth)
    images = torch.randn(2, 3, 64, 32)
    before, names = backbone(images), set(backbone.state_dict())
    insert_adapters(cfg, backbone)
    inserted = adapted_modules(backbone)
    blocks, channels = EXPECTED[name, depth]
    assert list(inserted) == blocks.split()
    assert tuple(dict.fromkeys(a.norm_bn.num_features for a in inserted.values())) == channels
    assert names <= set(backbone.state_dict())
    if name == "build_resnet_backbone":  # PaddedMaxPool is at work, too
        backbone.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
    assert torch.equal(backbone(images), before)


@pytest.mark.parametrize(
    "depth, stage_3", [("34x", ("layer3.3", "layer3.5")), ("101x", ("layer3.20", "layer3.22"))]
)
def test_deeper_resnets_have_adapters_in_their_last_blocks(config, depth, stage_3):
    with torch.device("meta"):
        _, backbone = built(config, "build_resnet_backbone", depth)
    blocks = adapted_blocks(backbone, "build_resnet_backbone", ["auto"])
    assert blocks[:2] == ["layer2.2", "layer2.3"] and (blocks[2], blocks[4], len(blocks)) == (*stage_3, 5)


@pytest.mark.parametrize("name, depth", [("build_osnet_backbone", "x0_25"), ("build_resnet_backbone", "50x")])
def test_each_adapter_is_called_once_and_learns(config, name, depth):
    cfg, backbone = built(config, name, depth)
    insert_adapters(cfg, backbone)
    calls = []
    for block, adapter in adapted_modules(backbone).items():
        nn.init.ones_(adapter.norm_bn.weight)
        adapter.register_forward_hook(lambda *args, block=block: calls.append(block))
    twin = copy.deepcopy(backbone)
    backbone.train()(torch.randn(4, 3, 64, 32)).square().mean().backward()
    assert calls == list(adapted_modules(backbone))
    assert all(
        parameter.grad is not None and parameter.grad.any()
        for adapter in adapted_modules(backbone).values()
        for parameter in adapter.parameters()
    )
    # A copy (as of a two-stream module) goes through its own adapters.
    with torch.no_grad():
        images = torch.randn(2, 3, 64, 32)
        before = twin.eval()(images)
        nn.init.zeros_(next(iter(adapted_modules(backbone).values())).norm_bn.weight)
        assert torch.equal(twin(images), before)


@pytest.mark.parametrize(
    "stages, expected",
    [
        ([["layer3", 1]], "layer3.0"),
        ([["layer2", 9], ["layer1", 1]], "layer2.0 layer1.0"),
        (["layer4.0"], "layer4.0"),
        (["layer1"], "layer1"),
        (["auto", "layer2.0", "layer4"], "layer2.0 layer3.0 layer4"),
    ],
)
def test_the_config_names_places(config, stages, expected):
    cfg, backbone = built(config, MODEL__MDA__STAGES=stages)
    assert adapted_blocks(backbone, cfg.MODEL.BACKBONE.NAME, cfg.MODEL.MDA.STAGES) == expected.split()


def test_a_whole_stage_runs_its_adapter_once(config):
    """RegNet's stages call their children one after another, the adapter among them."""
    cfg, backbone = built(config, "build_regnet_backbone", "200x", MODEL__MDA__STAGES=["s2"])
    insert_adapters(cfg, backbone)
    calls = []
    adapted_modules(backbone)["s2"].register_forward_hook(lambda *args: calls.append("s2"))
    backbone(torch.randn(1, 3, 64, 32))
    assert calls == ["s2"]


@pytest.mark.parametrize(
    "stages, modalities, message",
    [
        ([["layer9", 2]], 2, "names 'layer9', which build_small_resnet_backbone does not have"),
        ([["layer2", 0]], 2, r"has \['layer2', 0\]; expected 'auto'"),
        ([3], 2, "has 3; expected 'auto'"),
        ([["relu", 1]], 2, "relu has no blocks"),
        (["layer2"], 2, "names 'layer2', which is not called itself; name one of its blocks"),
        (["auto"], 0, r"MODEL\.MDA\.MODALITIES is 0"),
    ],
)
def test_wrong_places_are_refused(config, stages, modalities, message):
    cfg, backbone = built(config, MODEL__MDA__STAGES=stages, MODEL__MDA__MODALITIES=modalities)
    with pytest.raises(ConfigError, match=message):
        insert_adapters(cfg, backbone)


def test_norms_of_all_processes_are_the_adapters_too(config):
    cfg, backbone = built(config, MODEL__BACKBONE__NORM="syncBN", MODEL__ADAPTERS=["MDA"])
    insert_adapters(cfg, backbone)
    (first, *_) = adapted_modules(backbone).values()
    assert isinstance(first.ca_bn, nn.SyncBatchNorm) and isinstance(first.norm_bn, nn.SyncBatchNorm)
    assert first.norm_bn.weight.count_nonzero() == 0


@pytest.mark.parametrize("builder", ["build_vit_backbone", "build_vit_map_backbone"])
def test_a_vision_transformer_is_refused_with_the_reason(builder):
    with pytest.raises(ConfigError, match="works on feature maps, and a vision transformer has none"):
        adapted_blocks(nn.Sequential(), builder, ["auto"])


def test_an_unknown_backbone_is_told_how_to_name_its_stages():
    with pytest.raises(
        ConfigError,
        match=r"MDA stands in stage 2, .* build_mine has no blocks .* name other places under MODEL.MDA",
    ):
        adapted_blocks(nn.Sequential(), "build_mine", ["auto"])


def test_padded_max_pool(config):
    cfg, backbone = built(config, "build_resnet_backbone", "18x", MODEL__ADAPTERS=["PaddedMaxPool"])
    insert_adapters(cfg, backbone)
    assert (backbone.maxpool.padding, backbone.maxpool.ceil_mode) == (1, False)
    cfg, other = built(config, "build_osnet_backbone", "x0_25", MODEL__ADAPTERS=["PaddedMaxPool"])
    before = other.maxpool
    insert_adapters(cfg, other)
    assert other.maxpool is before
