"""Each fault of the toolkit that vireid.host mends, shown gone."""

import base64
import hashlib
import importlib.metadata

import torch
from fastreid.modeling.backbones import build_backbone as build_toolkit_backbone

from configs import tiny_config
from vireid import host


def test_no_file_of_the_toolkit_is_touched():
    checked = 0
    for file in importlib.metadata.files("fastreid") or []:
        if file.hash is not None:
            digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, file
            checked += 1
    assert checked > 100


def test_the_version_is_that_of_the_distribution():
    assert host.toolkit_version() == "1.4.0"


def test_torchvision_runs_beside_any_build_of_torch():
    from torchvision.transforms import functional

    image = torch.arange(12, dtype=torch.uint8).view(1, 3, 4)
    assert torch.equal(functional.hflip(image), image.flip(2))


def parameters(name, depth):
    cfg = tiny_config(MODEL__BACKBONE__NAME=name, MODEL__BACKBONE__DEPTH=depth)
    return sum(p.numel() for p in build_toolkit_backbone(cfg).parameters())


def test_regnet_builds_anywhere_and_forgets_the_model_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = parameters("build_regnet_backbone", "200x")
    parameters("build_regnet_backbone", "200y")  # has squeeze-and-excitation, which 200x must not inherit
    assert parameters("build_regnet_backbone", "200x") == alone
    assert parameters("build_effnet_backbone", "b0") > 1e6
