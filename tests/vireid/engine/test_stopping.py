"""Several processes that signals end, some or all of them, or the end of their launcher, stop together."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from processes import run_processes
from stopped_processes import STEPS, resume, stop_and_resume, words
from vireid.engine.checkpoints.run_lock import lock_folder, unlock_folder

ROOT = Path(__file__).parents[3]
# Name -> the step at whose beginning SIGTERM comes, and the ranks of the processes that get it.
CASES = {"the first": (1, [0]), "the second": (4, [1]), "both": (2, [0, 1])}


@pytest.fixture(scope="module")
def runs(generated_root, tmp_path_factory):
    """The folder of the run that nothing ends, and of those of CASES; how the commands of each rank ended."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(generated_root))
        run_processes(stop_and_resume, 2, folder, CASES)
    return folder, [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


def weights(folder):
    return torch.load(folder / "model_final.pth", weights_only=True)["model"]


@pytest.mark.parametrize("case", CASES)
def test_processes_stop_after_one_iteration_and_go_on_as_if_nothing_had_been(runs, case):
    folder, ends = runs
    epoch, begun = divmod(CASES[case][0], STEPS)
    line = (
        f"stopped by SIGTERM after {begun + 1} of the {STEPS} iterations of epoch {epoch}; the same command "
        "with --resume goes on from there"
    )
    for rank, (status, said, place, resumed) in enumerate(end[case] for end in ends):
        assert (status, said, place) == (143, [line] * (rank == 0), (epoch, begun + 1))
        assert resumed[0] == 0
    expected, found = weights(folder / "whole"), weights(folder / case)
    assert found.keys() == expected.keys()
    assert [name for name, value in found.items() if not torch.equal(value, expected[name])] == []
    assert not (folder / case / "model_within_epoch.pth").exists()


def test_processes_whose_torchrun_is_killed_save_and_end_and_the_run_goes_on(datasets, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    endless = {"SOLVER__MAX_EPOCH": 10**5, "SOLVER__CHECKPOINT_MINUTES": 1e-9}
    command += [str(ROOT / "tools/train_net.py"), *words(run, **endless)[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launcher = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        while not (run / "model_within_epoch.pth").exists():
            assert launcher.poll() is None, launcher.stderr.read()
            time.sleep(0.1)
    finally:
        launcher.kill()
    said = launcher.stderr.read()  # to its end, which is that of the last process
    assert "stopped by SIGTERM after" in said
    assert "Traceback" not in said
    lock_folder(run)
    unlock_folder(run)
    saved = torch.load(run / "model_within_epoch.pth", weights_only=True)
    epochs = saved["epoch"] + 2
    run_processes(resume, 2, tmp_path, epochs)
    assert [torch.load(tmp_path / f"{rank}.pth", weights_only=True)[0] for rank in range(2)] == [0, 0]
    assert torch.load(run / "model_final.pth", weights_only=True)["epoch"] == epochs - 1
    place = f"Resuming from iteration {saved['step']} of epoch {saved['epoch']}"
    assert place in (run / "log.txt").read_text()
