"""Each fault of the toolkit that vireid.host mends, shown gone."""

import base64
import hashlib
import importlib.metadata
import os
import subprocess
import sys

import pytest
import torch
from fastreid.modeling.backbones import build_backbone as build_toolkit_backbone

from configs import tiny_config
from vireid import host


def python(code, cwd=None):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-W", "always", "-c", code]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "order", ["import fastreid, vireid", "import vireid, fastreid.engine", "import fastreid; import pmcm"]
)
def test_import_works_in_either_order(order):
    run = python(
        f"{order}\nfrom fastreid.data.datasets import DATASET_REGISTRY as r\nprint(r.get('SYSUMM01'))"
    )
    assert run.returncode == 0, run.stderr
    assert "sysu_mm01.SYSUMM01" in run.stdout
    assert "Cython" not in run.stderr


WITHOUT_FASTREID = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name.split(".")[0] == "fastreid" else found(name, *a)
import vireid, pmcm
from vireid.evaluation import SYSUProtocol, rank_metrics
from pmcm import patch_mix
print("fastreid" in sys.modules)
"""


def test_without_the_toolkit_the_pure_parts_work_and_a_warning_says_how_to_install_it():
    run = python(WITHOUT_FASTREID)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "False"
    assert "pip install --no-deps fastreid==1.4.0" in run.stderr


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
