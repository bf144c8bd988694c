"""Each fault of the toolkit that vireid.host mends, shown gone."""

import base64
import hashlib
import importlib.metadata

import pytest
import torch
from fastreid.modeling.backbones import build_backbone as build_toolkit_backbone

from configs import tiny_config
from vireid import host
from vireid.engine.models import distributed
from vireid.errors import ConfigError


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_angular_margin_has_finite_gradients(dtype):
    """As CosSoftmax's do, at cosines that rounding takes to 1 and beyond."""
    from fastreid.layers.any_softmax import ArcSoftmax

    cosines = torch.tensor([[1.0, 0.5], [-1.0, 0.2], [1 + 1e-6, -0.3]], dtype=dtype, requires_grad=True)
    targets = torch.tensor([0, 1, 1])
    logits = ArcSoftmax(2, 8.0, 0.25)(cosines, targets)
    margin = torch.tensor([[0.25, 0], [0, 0.25], [0, 0.25]])
    expected = 8 * (cosines.detach().float().clamp(-1, 1).acos() + margin).cos()
    torch.testing.assert_close(logits, expected, atol=0.01, rtol=0)
    torch.nn.functional.cross_entropy(logits, targets).backward()
    assert cosines.grad.isfinite().all()


@pytest.fixture
def launched(monkeypatch):
    """As if torchrun had started this process, on a machine with some GPUs; the group is not made."""
    chosen = {}

    def launch(local_rank, local_size, gpus):
        monkeypatch.setenv("LOCAL_RANK", str(local_rank))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local_size))
        monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
        monkeypatch.setattr("torch.cuda.set_device", lambda index: chosen.update(device=index))
        monkeypatch.setattr("torch.distributed.init_process_group", lambda kind: chosen.update(backend=kind))
        monkeypatch.setattr("torch.distributed.get_world_size", lambda: local_size)
        monkeypatch.setattr("torch.distributed.get_rank", lambda: local_rank)
        monkeypatch.setattr("torch.distributed.new_group", lambda ranks: ranks)
        monkeypatch.setattr("fastreid.utils.comm._LOCAL_PROCESS_GROUP", None)
        return chosen

    return launch


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("cuda", 4, {"backend": "nccl", "device": 1}),
        ("cuda", 2, {"backend": "nccl", "device": 1}),
        ("cuda", 0, {"backend": "gloo"}),  # setup() then falls back to the CPU
        ("cpu", 4, {"backend": "gloo"}),
    ],
)
def test_the_second_of_two_processes_joins_by_the_device_that_the_config_asks_for(
    launched, device, gpus, expected
):
    chosen = launched(1, 2, gpus)
    host.join_process_group(device)
    assert chosen == expected


def test_one_process_may_choose_its_gpu(launched):
    chosen = launched(0, 1, 2)
    host.join_process_group("cuda:1")
    assert chosen == {"backend": "nccl", "device": 1}


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda", 1, "MODEL.DEVICE is cuda: 2 processes on this machine need a GPU each, and there are 1;"),
        (
            "cuda:1",
            4,
            "MODEL.DEVICE is cuda:1: 2 processes on this machine need a GPU each, and there are 1;",
        ),
    ],
)
def test_more_processes_than_gpus_are_refused(launched, device, gpus, message):
    chosen = launched(1, 2, gpus)
    with pytest.raises(ConfigError, match=message):
        host.join_process_group(device)
    assert chosen == {}


def test_averaging_gradients_leaves_the_batch_where_the_step_put_it(monkeypatch):
    given = {}
    monkeypatch.setattr("fastreid.utils.comm.get_world_size", lambda: 4)
    monkeypatch.setattr(
        "vireid.engine.models.DistributedDataParallel", lambda model, **settings: given.update(settings)
    )
    distributed(torch.nn.Linear(1, 1))
    # With device_ids, DDP would copy the batch itself, and wait for the copy.
    assert "device_ids" not in given
    assert given["find_unused_parameters"] and not given["broadcast_buffers"]
