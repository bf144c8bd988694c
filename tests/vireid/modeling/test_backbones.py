"""Each backbone family: trained, evaluated and reloaded in every method; its two streams; its weights."""

import copy

import pytest
import torch
from fastreid.modeling import build_model
from torch import nn

from backbone_matrix import (
    MODALITIES,
    SMALLEST,
    Variant,
    embed,
    random_batch,
    run,
    train_step,
    two_stream,
)
from configs import tiny_config
from vireid.engine import VIReIDTrainer
from vireid.engine.step import OptimizationStep, build_optimizer
from vireid.errors import ConfigError
from vireid.modeling.backbones import build_backbone, probe_feature_map
from vireid.modeling.checks import check_model
from vireid.modeling.families import FAMILIES
from vireid.modeling.pretrained import load_pretrained, pretrained_url
from vireid.modeling.two_stream import ModalityRoute

BY_FAMILY = pytest.mark.parametrize("variant", SMALLEST, ids=str)
REFUSED = {
    ("vit", "PMCM"): "PartEmbeddingHead cuts a feature map into stripes, .* build_vit_map_backbone",
    ("vit", "MCJA"): "MDA works on feature maps, and a vision transformer has none",
    ("vit_map", "MCJA"): "MDA works on feature maps, and a vision transformer has none",
    ("vit", "DEEN"): "MFA works on feature maps, and a vision transformer has none",
    ("vit_map", "DEEN"): "MFA works on feature maps, and a vision transformer has none",
    ("shufflenetv2", "DEEN"): "MFA stands in stage 1, at 1/4 of the image, and .* has no blocks there",
}


@BY_FAMILY
def test_a_family_trains_evaluates_reloads_and_resumes(variant, tmp_path):
    """With everything that it can have: two stems, mixed images, stripes, adapters, bf16 where there is any.

    Each method by itself, for every variant, is in test_every_variant.py.
    """
    method = "PMCM" if (variant.family, "PMCM") not in REFUSED else "baseline"
    maps = (variant.family, "MCJA") not in REFUSED
    adapters = ["PaddedMaxPool", *(["MDA", "MFA", "DEE"] if maps else [])]
    stages = [2, 3] if (variant.family, "DEEN") in REFUSED else [1, 2, 3]
    everything = {"MODEL__ADAPTERS": adapters, "MODEL__MFA__STAGES": stages, "SOLVER__AMP__ENABLED": True}
    assert run(variant, method, tmp_path, **everything).refused == ""


@pytest.mark.parametrize(("family", "method"), REFUSED)
def test_what_a_family_cannot_have_is_refused(family, method):
    depth = "0.5x" if family == "shufflenetv2" else "small"
    with pytest.raises(ConfigError, match=REFUSED[family, method]):
        build_model(Variant(family, depth).config(method))


def test_the_log_says_which_modules_auto_chose(caplog):
    with caplog.at_level("INFO", logger="fastreid.vireid.models"):
        VIReIDTrainer.build_model(Variant("osnet", "x0_25").config("baseline"))
    assert "modality-specific: conv1\n" in caplog.text


def test_the_matrix_has_every_family():
    families = {f"build_{variant.family}_backbone" for variant in SMALLEST}
    assert families | {"build_small_resnet_backbone"} == set(FAMILIES)


@BY_FAMILY
def test_the_infrared_stem_moves_infrared_embeddings_alone(variant):
    model = copy.deepcopy(two_stream(variant)).eval()
    assert model.modality_specific == FAMILIES[f"build_{variant.family}_backbone"].stem
    before = embed(model, variant.size)
    with torch.no_grad():
        for route in (module for module in model.modules() if isinstance(module, ModalityRoute)):
            for parameter in route.infrared.parameters():
                parameter.add_(torch.rand_like(parameter))
    moved = (embed(model, variant.size) != before).any(dim=1)
    assert moved.tolist() == (MODALITIES == 1).tolist()


@BY_FAMILY
def test_the_stem_norms_see_one_modality_and_the_others_both(variant):
    model = copy.deepcopy(two_stream(variant)).train()
    seen: dict[str, int] = {}
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)
    for name, module in model.named_modules():
        if isinstance(module, norms):
            module.register_forward_pre_hook(
                lambda module, args, name=name: seen.update({name: len(args[0])})
            )
    model(random_batch(variant.size))
    of_a_copy = [name for name in seen if ".visible" in name or ".infrared" in name]
    assert bool(of_a_copy) == (not variant.family.startswith("vit"))  # whose stem has no norm
    assert {seen.pop(name) for name in of_a_copy} <= {len(MODALITIES) // 2}
    assert set(seen.values()) == {len(MODALITIES)}


@BY_FAMILY
def test_images_of_odd_size_are_embedded_each_by_itself(variant):
    """In another order of the batch, which the routes take apart and put together, they are the same."""
    size = (75, 53)
    if variant.family.startswith("vit"):  # whose position embeddings are those of one size
        model = build_model(variant.config("baseline", INPUT__SIZE_TRAIN=size, INPUT__SIZE_TEST=size))
    else:
        model = two_stream(variant)
    batch, order = random_batch(size), torch.tensor([3, 0, 7, 5, 1, 6, 2, 4])
    shuffled = {name: value[order] for name, value in batch.items()}
    with torch.no_grad():
        embeddings, others = model.eval()(batch), model(shuffled)
    torch.testing.assert_close(others, embeddings[order], rtol=1e-4, atol=1e-4)
    assert torch.cdist(embeddings, embeddings).add(torch.eye(8)).min() > 0


@BY_FAMILY
def test_weights_from_a_file_go_to_every_tensor(variant, tmp_path):
    cfg = variant.config("baseline")
    backbone = build_backbone(cfg)
    expected = {name: value.clone() for name, value in backbone.state_dict().items()}
    torch.save({"state_dict": {f"module.{name}": value for name, value in expected.items()}}, tmp_path / "w")
    with torch.no_grad():
        for value in backbone.state_dict().values():
            value.fill_(1)
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = str(tmp_path / "w")
    load_pretrained(backbone, cfg)
    assert all(torch.equal(value, expected[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize(
    ("family", "of"),
    [("resnet", "resnet18"), ("mobilenetv3", "mobilenet_v3_small")],
)
def test_the_downloads_from_torchvision_have_every_name(family, of, tmp_path):
    import torchvision

    variant = next(variant for variant in SMALLEST if variant.family == family)
    published = getattr(torchvision.models, of)(weights=None).state_dict()
    own = build_backbone(variant.config("baseline")).state_dict()
    missing = {
        name.split(".")[0] for name, value in own.items() if published.get(name, value).shape != value.shape
    }
    absent = {name.split(".")[0] for name in own if name not in published}
    assert missing == set() and absent <= {"conv"}  # the toolkit's own last layer of MobileNetV3


def test_each_address_is_of_its_own_variant():
    """Three of the toolkit's are those of another variant."""
    for family in ("regnet", "effnet"):
        depths = FAMILIES[f"build_{family}_backbone"].depths
        urls = [pretrained_url(Variant(family, depth).config("baseline")) for depth in depths]
        assert len(set(urls)) == len(depths)
        for depth, url in zip(depths, urls):
            if family == "effnet":
                label = f"EN-{depth.upper()}"
            else:
                flops = int(depth[:-1])
                label = f"RegNet{depth[-1].upper()}-" + (
                    f"{flops}MF" if flops < 1000 else f"{flops / 1000}GF"
                )
            assert url.endswith(f"/{label}_dds_8gpu.pyth")


def test_osnet_with_and_without_ibn_are_two_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for options, file in (((), "osnet_x1_0_imagenet.pth"), (("WITH_IBN",), "osnet_ibn_x1_0_imagenet.pth")):
        cfg = Variant("osnet", "x1_0", options).config("baseline", MODEL__BACKBONE__PRETRAIN=True)
        with pytest.raises(ConfigError, match=file):
            build_backbone(cfg)


@pytest.mark.parametrize(
    ("method", "specific"),
    [("PMCM", ("auto",)), ("PMCM", ("stage0", "stage1")), ("MCJA", ("auto",)), ("MCJA", ())],
)
def test_repvgg_fuses_both_streams(method, specific):
    """Outputs before and after fusion agree, with adapters and a third stem where the method has them."""
    variant = Variant("repvgg", "A0")
    cfg = variant.config(
        method,
        MODEL__TWO_STREAM__SPECIFIC=specific,
        MODEL__TWO_STREAM__MIXED_STEM="own",
        SOLVER__BASE_LR=1e-4,
    )
    torch.manual_seed(0)
    model = build_model(cfg)
    trainer = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)
    for seed in (1, 2):  # so that the copies, their norms and the adapters differ
        train_step(trainer, variant.size, seed)
    before = embed(model, variant.size)
    model.backbone.deploy(True)
    left = [name for name, _ in model.backbone.named_modules() if "rbr_" in name]
    assert left == []
    after = embed(model, variant.size)
    assert ((after - before).abs().max() / before.abs().max()) < 1e-4
    if specific:
        stem = model.backbone.stage0
        assert not torch.equal(stem.visible.fused_weight, stem.infrared.fused_weight)


def test_a_route_to_another_module_is_not_fused():
    route = two_stream(Variant("resnet", "18x")).backbone.conv1
    assert not hasattr(route, "deploying")


class TestVisionTransformer:
    variant = Variant("vit_map", "small")

    def test_the_map_has_each_token_in_its_place(self):
        cfg = self.variant.config("baseline", INPUT__SIZE_TRAIN=(64, 48), INPUT__SIZE_TEST=(64, 48))
        torch.manual_seed(0)
        backbone = build_backbone(cfg).eval()
        tokens = []
        backbone.norm.register_forward_hook(lambda module, args, output: tokens.append(output))
        images = torch.randn(2, 3, 64, 48)
        features = backbone(images)
        assert features.shape == (2, 768, 4, 3)
        for row in range(4):
            for column in range(3):
                torch.testing.assert_close(features[:, :, row, column], tokens[0][:, 1 + 3 * row + column])
        # the toolkit's forward on the same modules ends in the same tokens
        torch.testing.assert_close(
            super(type(backbone), backbone).forward(images)[..., 0, 0], tokens[0][:, 0]
        )

    @pytest.mark.parametrize("extra", [1, 2])
    def test_position_embeddings_of_another_size_are_resized(self, tmp_path, extra):
        """196 patches of 224x224, a class token and, in a distilled DeiT, one more."""
        cfg = self.variant.config("baseline", INPUT__SIZE_TRAIN=(64, 48), INPUT__SIZE_TEST=(64, 48))
        backbone = build_backbone(cfg)
        ramp = torch.linspace(0, 1, 14).view(14, 1, 1).expand(14, 14, 768).reshape(1, 196, 768)
        positions = torch.cat(
            [torch.full((1, 1, 768), 5.0), torch.full((1, extra - 1, 768), 9.0), ramp], dim=1
        )
        torch.save({"model": {"pos_embed": positions}}, tmp_path / "deit.pth")
        cfg.MODEL.BACKBONE.PRETRAIN_PATH = str(tmp_path / "deit.pth")
        load_pretrained(backbone, cfg)
        found = backbone.pos_embed[0, :, 0].detach()
        assert found[0] == 5
        rows = found[1:].view(4, 3)
        torch.testing.assert_close(rows, rows[:, :1].expand(4, 3))
        assert torch.all(rows[1:, 0] > rows[:-1, 0])

    def test_mcja_without_adapters_trains(self, tmp_path):
        """Its pooling takes features of either sign, which would not be numbers in the published form."""
        assert run(self.variant, "MCJA", tmp_path, resume=False, MODEL__ADAPTERS=[]).refused == ""

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"INPUT__SIZE_TEST": (64, 64)}, r"SIZE_TEST is \(64, 64\), but the position embeddings"),
            ({"INPUT__SIZE_TRAIN": (8, 8), "INPUT__SIZE_TEST": (8, 8)}, "needs at least 16x16"),
        ],
    )
    def test_sizes_that_cannot_be_are_refused(self, overrides, message):
        with pytest.raises(ConfigError, match=message):
            check_model(self.variant.config("baseline", **overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"NAME": "build_resnest_backbone", "DEPTH": "18x"}, "DEPTH is '18x'.* it has 50x, 101x, 200x, 269x"),
        ({"NAME": "build_mobilenetv3_backbone", "DEPTH": "Medium"}, "it has Large, Small"),
        ({"NAME": "build_shufflenetv2_backbone", "DEPTH": "3.0x"}, "it has 0.5x, 1.0x, 1.5x, 2.0x"),
        ({"NAME": "build_effnet_backbone", "DEPTH": "b6"}, "it has b0, b1, b2, b3, b4, b5"),
        (
            {"NAME": "build_osnet_backbone", "DEPTH": "x1_0", "WITH_NL": True},
            "WITH_NL True has no effect in build_osnet",
        ),
        ({"NAME": "build_resnext_backbone", "DEPTH": "50x", "WITH_SE": True}, "WITH_SE True has no effect"),
    ],
)
def test_variants_that_cannot_be_are_refused(overrides, message):
    cfg = tiny_config(**{f"MODEL__BACKBONE__{key}": value for key, value in overrides.items()})
    with pytest.raises(ConfigError, match=message):
        check_model(cfg)


@pytest.mark.parametrize("norm", ["BN", "syncBN", "GhostBN", "FrozenBN", "GN"])
def test_each_norm_of_the_toolkit(norm):
    variant = Variant("small_resnet", "10x")
    cfg = variant.config(
        "PMCM", MODEL__BACKBONE__NORM=norm, MODEL__BACKBONE__WIDTH=32, MODEL__HEADS__NORM="BN"
    )
    torch.manual_seed(0)
    model = build_model(cfg)
    trainer = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)
    before = embed(model, variant.size)
    train_step(trainer, variant.size, seed=1)
    assert not torch.equal(embed(model, variant.size), before)


def test_a_norm_that_a_backbone_does_not_have_is_refused():
    cfg = Variant("vit_map", "small").config("baseline", MODEL__BACKBONE__NORM="syncBN")
    with pytest.raises(ConfigError, match="NORM syncBN has no effect in build_vit_map_backbone; set"):
        build_backbone(cfg)


def test_group_norm_on_channels_that_do_not_divide_is_refused():
    cfg = Variant("osnet", "x0_25").config("baseline", MODEL__BACKBONE__NORM="GN")
    with pytest.raises(
        ConfigError, match=r"NORM GN makes 32 groups of channels, which build_osnet_backbone x0_25"
    ):
        build_backbone(cfg)


def test_sync_batch_norm_over_cpu_processes_is_refused(monkeypatch):
    monkeypatch.setattr("fastreid.utils.comm.get_world_size", lambda: 2)
    with pytest.raises(ConfigError, match="syncBN, which joins GPUs only"):
        check_model(tiny_config(MODEL__BACKBONE__NORM="syncBN"))


def test_the_feature_size_is_that_of_the_forward_pass():
    for variant in SMALLEST:
        model = two_stream(variant)
        shapes = []
        hook = model.backbone.register_forward_hook(
            lambda module, args, output, s=shapes: s.append(output.shape)
        )
        embed(model, variant.size)
        hook.remove()
        assert model.heads.weight.shape == (2, shapes[0][1])
    plain = build_backbone(tiny_config())
    assert probe_feature_map(plain.train(), (64, 32)) == (64, 4, 2, False, 1) and plain.training
