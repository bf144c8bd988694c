"""Whole trainings on the device: one that is killed and goes on, and the steps of two processes."""

from gpu_processes import save_step  # isort: skip  (imports vireid before the toolkit)

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpu_device import ON_GPU
from processes import run_processes
from training import train
from vireid.engine.checkpoints.resume import generator_states

pytestmark = pytest.mark.gpu

TESTS = Path(__file__).parents[1]
PMCM = "PMCM/configs/sysu.yml"  # whose masks are drawn on the device
STEPS, EPOCHS, KILLED_AT = 3, 2, 4
KILLED = """
import os, signal, sys
import vireid
from gpu_device import make_convolutions_exact
from training import train
from vireid.engine.step import OptimizationStep

call, steps = OptimizationStep.__call__, iter(range(100))

def killed(*arguments):
    if next(steps) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*arguments)

OptimizationStep.__call__ = killed
make_convolutions_exact()
train(sys.argv[1], "PMCM/configs/sysu.yml", **eval(sys.argv[3]))
"""


@pytest.fixture
def interpreter(request):
    """A function that runs code in a fresh interpreter; on a GPU in one that is not forked."""
    path = [*map(str, sorted(TESTS.parent.glob("projects/*"))), str(TESTS)]

    def run(code, *arguments):
        if not ON_GPU:
            return request.getfixturevalue("python")(code, *arguments, path=path)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("dtype", ["float32", "fp16"] if ON_GPU else ["float32"])
def test_a_killed_run_goes_on(datasets, tmp_path, gpu, interpreter, record_property, dtype):
    """Some of a GPU's sums have no fixed order, so two undisturbed runs may differ there as well."""
    options = {
        "MODEL__DEVICE": gpu,
        "SOLVER__AMP__ENABLED": dtype != "float32",
        "SOLVER__AMP__DTYPE": "bf16" if dtype == "float32" else dtype,
        "SOLVER__MAX_EPOCH": EPOCHS,
        "SOLVER__CHECKPOINT_MINUTES": 1e-9,  # after every step
        "DATALOADER__MAX_BATCHES_PER_EPOCH": STEPS,
        "DATALOADER__NUM_WORKERS": 1,
        "TEST__EVAL_PERIOD": -1,
    }
    killed = interpreter(KILLED, str(tmp_path / "run"), str(KILLED_AT), repr(options))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = train(tmp_path / "run", PMCM, resume=True, **options)
    drawn = generator_states()[0]
    assert resumed.trainer.start == divmod(KILLED_AT, STEPS)
    whole = train(tmp_path / "whole", PMCM, **options)
    expected = generator_states()[0]
    generator = "cuda" if ON_GPU else "torch"
    assert torch.equal(drawn[generator], expected[generator])
    found = resumed.trainer.model.state_dict()
    differences = []
    for name, value in whole.trainer.model.state_dict().items():
        assert found[name].device.type == gpu
        difference = (found[name].double() - value.double()).abs().max()
        differences.append(float(difference / value.double().abs().max().clamp(min=1)))
    record_property("weights", max(differences))
    assert max(differences) <= (0.0 if not ON_GPU else 1e-3 if dtype == "float32" else 0.02)
    scales = [run.trainer.checkpointer.checkpointables.get("grad_scaler") for run in (resumed, whole)]
    if dtype == "fp16":
        assert scales[0].get_scale() == scales[1].get_scale()


@pytest.mark.parametrize("norm", ["BN", "syncBN"] if ON_GPU else ["BN"])
@pytest.mark.parametrize("recipe", ["PMCM", "MCJA"] if ON_GPU else ["PMCM"])
def test_two_processes_compute_what_one_does(tmp_path, gpu, record_property, recipe, norm):
    """By NCCL, where there are two GPUs; else by gloo. SyncBN has the statistics of the joined batch."""
    save_step(tmp_path, recipe, "joint BN" if norm == "syncBN" else norm, "cpu")
    run_processes(save_step, 2, tmp_path, recipe, norm, gpu, device=gpu)
    record_property("GPUs", torch.cuda.device_count())
    losses, gradients = torch.load(tmp_path / "1_0.pth")
    every = [torch.load(tmp_path / f"2_{rank}.pth") for rank in range(2)]
    for name, value in losses.items():
        mean = sum(float(found[name]) for found, _ in every) / 2
        assert mean == pytest.approx(float(value), rel=1e-3, abs=1e-3), name
    largest = max(float(value.abs().max()) for value in gradients.values() if value is not None)
    differences = [
        float((found[name] - value).abs().max()) / largest
        for _, found in every
        for name, value in gradients.items()
        if value is not None
    ]
    record_property("gradients", max(differences))
    assert max(differences) <= 1e-3


@pytest.mark.skipif(not ON_GPU, reason="SyncBN is of GPUs")
def test_syncbn_on_one_process_is_bn(tmp_path, gpu):
    found = []
    for norm in ("joint BN", "syncBN"):
        save_step(tmp_path, "PMCM", norm, gpu)
        found.append(torch.load(tmp_path / "1_0.pth"))
    (losses, gradients), (other_losses, other_gradients) = found
    for name, value in losses.items():
        torch.testing.assert_close(other_losses[name], value, rtol=1e-4, atol=1e-4)
    for name, value in gradients.items():
        if value is not None:
            torch.testing.assert_close(other_gradients[name], value, rtol=1e-3, atol=1e-4)
