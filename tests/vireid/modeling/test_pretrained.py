from urllib.error import URLError

import pytest
import torch

from configs import tiny_config
from vireid.engine.models import build_model
from vireid.errors import ConfigError, UserError
from vireid.modeling.backbones import build_backbone
from vireid.modeling.pretrained import pretrained_url


def config_with(path="", **overrides):
    return tiny_config(MODEL__BACKBONE__PRETRAIN=True, MODEL__BACKBONE__PRETRAIN_PATH=str(path), **overrides)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"model_state": weights},  # RegNet's, which the toolkit does not unwrap
        lambda weights: {"state_dict": {f"module.{name}": value for name, value in weights.items()}},
        lambda weights: {"model": {f"module.encoder.{name}": value for name, value in weights.items()}},
    ],
)
def test_weights_are_loaded_however_they_are_wrapped(tmp_path, wrap):
    torch.manual_seed(1)
    source = build_backbone(tiny_config())
    torch.save(wrap(source.state_dict()), tmp_path / "weights.pth")
    torch.manual_seed(2)
    loaded = build_backbone(config_with(tmp_path / "weights.pth"))
    expected = source.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())


def test_a_two_stream_checkpoint_is_refused_with_the_key_that_takes_both_copies(tmp_path):
    torch.save({"model": build_model(tiny_config()).state_dict()}, tmp_path / "model.pth")
    with pytest.raises(ConfigError) as error:
        build_backbone(config_with(tmp_path / "model.pth"))
    message = str(error.value)
    assert (
        "model.pth is a two-stream checkpoint of this project: backbone.conv1 has a copy for each" in message
    )
    assert "set MODEL.WEIGHTS to it instead, with MODEL.WEIGHTS_STRICT False" in message


def test_a_regnet_is_loaded_too(tmp_path):
    regnet = named("regnet", "200x")
    source = build_backbone(tiny_config(**regnet))
    torch.save({"model_state": source.state_dict()}, tmp_path / "regnet.pth")
    loaded = build_backbone(config_with(tmp_path / "regnet.pth", **regnet))
    assert torch.equal(loaded.stem.conv.weight, source.stem.conv.weight)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "PRETRAIN_PATH: no file"),
        (lambda path: path.write_bytes(b"html"), "not a checkpoint of plain tensors"),
        (lambda path: torch.save({"other": torch.zeros(3)}, path), "nothing in .* fits build_small_resnet"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, write, message):
    write(tmp_path / "weights.pth")
    with pytest.raises(UserError, match=message):
        build_backbone(config_with(tmp_path / "weights.pth"))


def named(family, depth):
    return {"MODEL__BACKBONE__NAME": f"build_{family}_backbone", "MODEL__BACKBONE__DEPTH": depth}


RESNET = named("resnet", "18x")


def test_no_network_names_the_url_and_where_to_put_the_file(tmp_path, monkeypatch):
    def unreachable(url, target):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(ConfigError) as error:
        build_backbone(config_with(**RESNET))
    assert "https://download.pytorch.org/models/resnet18-5c106cde.pth" in str(error.value)
    assert str(tmp_path / "checkpoints" / "resnet18-5c106cde.pth") in str(error.value)


def test_a_download_is_loaded_and_kept(tmp_path, monkeypatch):
    source = build_backbone(tiny_config(**RESNET))
    calls = []

    def download(url, target):
        calls.append(url)
        torch.save(source.state_dict(), target)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        loaded = build_backbone(config_with(**RESNET))
    assert torch.equal(loaded.conv1.weight, source.conv1.weight)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("overrides", "end"),
    [
        (RESNET, "resnet18-5c106cde.pth"),
        ({**RESNET, "MODEL__BACKBONE__WITH_IBN": True}, "resnet18_ibn_a-2f571257.pth"),
        (named("resnest", "50x"), "resnest50-528c19ca.pth"),
        (named("mobilenetv3", "Small"), "047dcff4.pth"),
        (named("regnet", "800y"), ".pyth"),
    ],
)
def test_the_toolkits_urls(overrides, end):
    assert pretrained_url(tiny_config(**overrides)).endswith(end)


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("build_osnet_backbone", "x1_0", "Google Drive wants a browser.*drive.google.com"),
        ("build_shufflenetv2_backbone", "1.0x", "no weights to download for build_shufflenetv2_backbone"),
    ],
)
def test_what_cannot_be_downloaded_says_so(tmp_path, monkeypatch, name, depth, message):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        build_backbone(config_with(MODEL__BACKBONE__NAME=name, MODEL__BACKBONE__DEPTH=depth))
