"""timm's models as backbones: every family through the same matrix, stems, sizes and pretrained weights."""

import importlib
import socket
from argparse import Namespace

import pytest
import torch

from configs import tiny_config
from mcja import ModalityDistributionAdapter
from vireid.engine import VIReIDTrainer, evaluate_weights, setup
from vireid.errors import CheckpointError, ConfigError
from vireid.modeling.backbones import build_backbone
from vireid.modeling.timm_models import offline_if_unreachable

timm = pytest.importorskip("timm")

SMALL_VIT = [["depth", 2], ["embed_dim", 48], ["num_heads", 2]]
SMALL_SWIN = [["embed_dim", 24], ["depths", [1, 1, 2, 1]], ["num_heads", [1, 2, 2, 4]], ["window_size", 2]]

# name -> arguments that shrink it, image size, modules of the stem, number of adapters that "auto" places
# (None: a plain transformer, without stages).
FAMILIES = {
    "convnext_atto": ([["depths", [1, 1, 2, 1]], ["dims", [16, 24, 32, 48]]], (64, 32), ["stem"], 3),
    "swin_tiny_patch4_window7_224": (SMALL_SWIN, (64, 32), ["patch_embed.proj", "patch_embed.norm"], 3),
    "regnety_002": ([], (64, 32), ["stem"], 4),
    "resnet10t": ([["channels", [16, 24, 32, 48]]], (64, 32), ["conv1", "bn1"], 2),
    "mobilenetv4_conv_small_035": ([], (64, 32), ["conv_stem", "bn1"], 5),
    "efficientvit_b0": ([], (64, 32), ["stem"], 4),
    "vit_tiny_patch16_224": (SMALL_VIT, (64, 32), ["patch_embed.proj"], None),
    "vit_small_patch14_dinov2": (SMALL_VIT, (56, 28), ["patch_embed.proj"], None),
    "vit_small_patch16_dinov3": (SMALL_VIT, (64, 32), ["patch_embed.proj"], None),
    "vit_base_patch16_clip_224": (SMALL_VIT, (64, 32), ["patch_embed.proj"], None),
    "eva02_tiny_patch14_224": (SMALL_VIT, (56, 28), ["patch_embed.proj"], None),
}
METHODS = ["VIReID", "PMCM", "MCJA"]


def timm_config(name, method="VIReID", **overrides):
    kwargs, size, _, adapters = FAMILIES.get(name, ([], (64, 32), [], None))
    settings = {
        "MODEL__BACKBONE__NAME": "build_timm_backbone",
        "MODEL__BACKBONE__TIMM__NAME": name,
        "MODEL__BACKBONE__TIMM__KWARGS": kwargs,
        "MODEL__HEADS__POOL_LAYER": "GlobalAvgPool",
        "INPUT__SIZE_TRAIN": list(size),
        "INPUT__SIZE_TEST": list(size),
    }
    if method == "PMCM":
        settings |= {"MODEL__HEADS__PARTS__COUNT": 2, "MODEL__PATCH_MIX__PATCH_SIZE": size[1] // 2}
    if method == "MCJA":
        settings |= {"MODEL__HEADS__NAME": "EmbeddingHead", "MODEL__ADAPTERS": ["MDA"] if adapters else []}
        settings |= {"TEST__MSER__K1": 3, "TEST__MSER__K2": 2, "DATALOADER__NUM_INSTANCE": 4}
    return tiny_config(f"{method}/configs/regdb.yml", **{**settings, **overrides})


@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, "PMCM") for name in FAMILIES), ("resnet10t", "VIReID"), ("resnet10t", "MCJA")],
)
def test_each_family_trains_evaluates_and_reloads(datasets, tmp_path, name, method):
    """In PMCM, with MDA where it can be; the other methods are those of any backbone."""
    mda = {"MODEL__ADAPTERS": ["MDA"]} if method == "PMCM" and FAMILIES[name][3] else {}
    cfg = timm_config(
        name,
        method,
        **mda,
        MODEL__HEADS__NUM_CLASSES=0,
        OUTPUT_DIR=str(tmp_path),
        SOLVER__MAX_EPOCH=1,
        SOLVER__WARMUP_EPOCHS=0,
        SOLVER__WARMUP_ITERS=0,
        DATALOADER__MAX_BATCHES_PER_EPOCH=2,
        MODEL__TWO_STREAM__SPECIFIC=["auto"],
    )
    trainer = VIReIDTrainer(setup(cfg, Namespace(config_file="", eval_only=False)))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    results = trainer.train()
    trained = {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}
    assert [name for name, value in trained.items() if torch.equal(value, before[name])] == []
    adapters = [m for m in trainer.model.modules() if isinstance(m, ModalityDistributionAdapter)]
    assert len(adapters) == ((FAMILIES[name][3] or 0) if method != "VIReID" else 0)

    cfg = trainer.cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(tmp_path / "model_final.pth")
    assert evaluate_weights(cfg) == results


def batch_of(modalities, size):
    count = len(modalities)
    return {
        "images": torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8),
        "targets": torch.arange(count) % 5,
        "camids": torch.zeros(count, dtype=torch.long),
        "modalities": torch.tensor(modalities),
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_each_modality_has_its_stem_and_the_trunk_sees_both(name):
    torch.manual_seed(0)
    _, size, stem, _ = FAMILIES[name]
    cfg = timm_config(name)
    model = VIReIDTrainer.build_model(cfg).eval()
    assert list(model.modality_specific) == [f"model.{module}" for module in stem]
    batch = batch_of([0, 1, 0, 1], size)
    with torch.no_grad():
        before = model(batch)
        for module in model.modality_specific:
            for parameter in model.backbone.get_submodule(module).infrared.parameters():
                parameter.add_(torch.randn_like(parameter))
        moved = (model(batch) - before).abs().amax(dim=1)
    assert moved[[0, 2]].tolist() == [0, 0]
    assert (moved[[1, 3]] > 1e-5).all()

    seen = []
    layers = [m for m in model.backbone.model.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    hooks = [m.register_forward_hook(lambda module, args, out: seen.append(len(args[0]))) for m in layers]
    model(batch)
    for hook in hooks:
        hook.remove()
    stems = [m for module in stem for m in model.backbone.model.get_submodule(module).modules()]
    assert seen.count(2) == sum(isinstance(m, torch.nn.Linear | torch.nn.Conv2d) for m in stems)
    assert all(count % 4 == 0 for count in seen if count != 2)  # all images, or all of their windows


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch16_dinov3", "xcit_nano_12_p16_224"])
def test_tokens_become_the_map_that_timm_makes_of_them(name):
    torch.manual_seed(0)
    backbone = build_backbone(timm_config(name)).eval()
    images = torch.randn(2, 3, 64, 32)
    (expected,) = backbone.model.forward_intermediates(
        images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
    )
    assert expected.shape[2:] == (4, 2)
    torch.testing.assert_close(backbone(images), expected, rtol=1e-4, atol=1e-4)


def test_a_channels_last_map_is_turned():
    backbone = build_backbone(timm_config("swin_tiny_patch4_window7_224")).eval()
    images = torch.randn(2, 3, 64, 32)
    expected = backbone.model.forward_features(images)
    assert expected.shape == (2, 2, 1, 192)
    assert torch.equal(backbone(images), expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    "name", ["eva02_tiny_patch14_224", "convnext_atto"]
)  # fc_norm of tokens, head.norm of a map
def test_the_norm_of_timms_classifier_is_applied(name):
    backbone = build_backbone(timm_config(name)).eval()
    features = backbone(torch.randn(2, 3, *FAMILIES[name][1]))
    assert features.mean(dim=1).abs().max() < 1e-4
    torch.testing.assert_close(
        features.var(dim=1, unbiased=False), torch.ones(2, *features.shape[2:]), rtol=1e-2, atol=1e-2
    )


def test_what_does_not_reach_the_map_is_frozen():
    backbone = build_backbone(timm_config("mobilenetv4_conv_small_035"))
    frozen = [name for name, parameter in backbone.named_parameters() if not parameter.requires_grad]
    assert frozen and all(name.startswith(("model.conv_head", "model.norm_head")) for name in frozen)
    backbone(torch.randn(2, 3, 64, 32)).square().sum().backward()
    assert [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_tiny_patch16_224", (6, 3)),
        ("swin_tiny_patch4_window7_224", (3, 2)),
        ("convnext_atto", (3, 1)),
    ],
)
def test_another_test_size_is_taken(name, expected):
    backbone = build_backbone(timm_config(name, INPUT__SIZE_TEST=[96, 48])).eval()
    assert backbone(torch.zeros(1, 3, 64, 32)).shape[2] == FAMILIES[name][1][0] // (
        16 if "vit" in name else 32
    )
    assert backbone(torch.zeros(1, 3, 96, 48)).shape[2:] == expected


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("resnet_10t", {}, "NAME is 'resnet_10t', which timm does not have; did you mean resnet10t"),
        ("", {}, r"NAME is '', which timm does not have; timm.list_models\(\) lists the names"),
        ("levit_128s", {"INPUT__SIZE_TEST": [96, 48]}, r"SIZE_TEST is \[96, 48\].*set both to the same"),
        ("crossvit_tiny_240", {}, r"INPUT.SIZE_TRAIN is \[64, 32\], which crossvit_tiny_240 does not take"),
        ("convnext_atto", {"MODEL__BACKBONE__TIMM__KWARGS": [["dept", 2]]}, "timm cannot build .*'dept'"),
        ("convnext_atto", {"MODEL__BACKBONE__TIMM__KWARGS": ["depth", 2]}, "KWARGS is .*expected pairs"),
        ("resnet10t.none", {"MODEL__BACKBONE__PRETRAIN": True}, "Invalid pretrained tag"),
    ],
)
def test_what_timm_does_not_take_is_refused(name, overrides, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(timm_config(name, **overrides))


def test_without_timm_the_command_is_named(monkeypatch):
    def absent(name, *args):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ConfigError, match=r'pip install "\.\[timm\]"'):
        build_backbone(timm_config("convnext_atto"))


def pretrained_config(path, name="vit_tiny_patch16_224", **overrides):
    return timm_config(
        name, MODEL__BACKBONE__PRETRAIN=True, MODEL__BACKBONE__PRETRAIN_PATH=str(path), **overrides
    )


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_timm_are_loaded_and_position_embeddings_resized(tmp_path, suffix):
    kwargs = dict(FAMILIES["vit_tiny_patch16_224"][0])
    source = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=(64, 64), **kwargs)
    with torch.no_grad():
        source.pos_embed.copy_(torch.arange(17.0).view(1, 17, 1).expand_as(source.pos_embed))
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, path)
    else:
        importlib.import_module("safetensors.torch").save_file(source.state_dict(), path)
    backbone = build_backbone(pretrained_config(path))
    own, theirs = backbone.model.state_dict(), source.state_dict()
    differing = [name for name, value in own.items() if not torch.equal(value, theirs.get(name, value[:0]))]
    assert differing == ["pos_embed"]
    resized = own["pos_embed"][0, 1:, 0].view(4, 2)  # from 4x4: rows stay apart by 4, columns by about 2
    assert own["pos_embed"].shape == (1, 9, 48)
    assert (resized.diff(dim=0) - 4).abs().max() < 0.5
    assert (resized.diff(dim=1) > 1).all()


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"other": torch.zeros(2, 2)}, ConfigError, "nothing in .* fits vit_tiny_patch16_224"),
        ({"patch_embed.proj.weight": torch.zeros(9, 3, 16, 16)}, ConfigError, "cannot load .*size mismatch"),
        ([1], CheckpointError, "holds no state dict"),
        (None, CheckpointError, "no file"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, weights, error, message):
    if weights is not None:
        torch.save(weights, tmp_path / "weights.pth")
    with pytest.raises(error, match=message):
        build_backbone(pretrained_config(tmp_path / "weights.pth"))


def test_without_a_network_the_error_names_model_and_key(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    builder = importlib.import_module("timm.models._builder")
    for function in ("load_state_dict_from_hf", "load_state_dict_from_url"):
        monkeypatch.setattr(builder, function, unreachable)
    with pytest.raises(ConfigError) as error:
        build_backbone(pretrained_config("", "resnet10t.c3_in1k"))
    message = str(error.value)
    assert "resnet10t.c3_in1k" in message and "no network" in message
    assert "set MODEL.BACKBONE.PRETRAIN_PATH to a file" in message


@pytest.mark.parametrize("reachable", [True, False])
def test_the_hub_is_not_asked_again_and_again_where_it_cannot_be_reached(monkeypatch, reachable):
    def connect(address, timeout):
        asked.append(address)
        if not reachable:
            raise OSError("no network")
        return socket.socket()

    asked = []
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr("vireid.modeling.timm_models.getproxies", dict)
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with offline_if_unreachable():
        assert constants.HF_HUB_OFFLINE is not reachable
    assert not constants.HF_HUB_OFFLINE and asked == [("huggingface.co", 443)]


def test_another_normalization_of_the_pretrained_model_is_mentioned(tmp_path, caplog):
    kwargs = dict(FAMILIES["vit_base_patch16_clip_224"][0])
    source = timm.create_model("vit_base_patch16_clip_224", num_classes=0, img_size=(64, 32), **kwargs)
    torch.save(source.state_dict(), tmp_path / "clip.pth")
    build_backbone(pretrained_config(tmp_path / "clip.pth", "vit_base_patch16_clip_224"))
    assert "pretrained with MODEL.PIXEL_MEAN [122.771, 116.746, 104.094]" in caplog.text


def test_mda_in_a_plain_transformer_is_refused():
    with pytest.raises(ConfigError, match="a vision transformer has none"):
        VIReIDTrainer.build_model(timm_config("vit_tiny_patch16_224", "MCJA", MODEL__ADAPTERS=["MDA"]))


def test_blocks_of_tokens_are_no_place_for_mda():
    with pytest.raises(ConfigError, match="'model.stages.1.blocks.0', whose output is no feature map"):
        VIReIDTrainer.build_model(timm_config("pvt_v2_b0", "MCJA", MODEL__ADAPTERS=["MDA"]))
    named = {"MODEL__ADAPTERS": ["MDA"], "MODEL__MDA__STAGES": ["model.stages.1", "model.stages.2"]}
    model = VIReIDTrainer.build_model(timm_config("pvt_v2_b0", "MCJA", **named))
    assert model.backbone.model.stages[1].mda.sc_conv.in_channels == 64


def test_stages_that_timm_does_not_name_are_asked_for():
    with pytest.raises(ConfigError, match="has no blocks there that are known; name other places"):
        VIReIDTrainer.build_model(timm_config("levit_128s", "MCJA", MODEL__ADAPTERS=["MDA"]))


def test_adapters_start_as_the_identity_in_channels_last_blocks():
    torch.manual_seed(0)
    plain = VIReIDTrainer.build_model(timm_config("swin_tiny_patch4_window7_224")).eval()
    torch.manual_seed(0)
    adapted = VIReIDTrainer.build_model(
        timm_config("swin_tiny_patch4_window7_224", "MCJA", MODEL__TWO_STREAM__SPECIFIC=["auto"])
    ).eval()
    weights = plain.backbone.state_dict()
    missing = adapted.backbone.load_state_dict(weights, strict=False).missing_keys
    assert missing and all(".mda." in name for name in missing)
    images = torch.randn(2, 3, 64, 32)
    for model in (plain, adapted):
        model.layout.set(torch.tensor([0, 1]))
    torch.testing.assert_close(adapted.backbone(images), plain.backbone(images))
    sizes = [m.sc_conv.in_channels for m in adapted.modules() if isinstance(m, ModalityDistributionAdapter)]
    assert sizes == [48, 96, 96]
