"""Trainings that are killed at a random moment, and resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from cases import Tally, attempt

from synthvi import generate_dataset
from vireid.errors import UserError

SETTINGS = {
    "MODEL.DEVICE": "cpu",
    "MODEL.BACKBONE.WIDTH": 8,
    "INPUT.SIZE_TRAIN": "[64, 32]",
    "INPUT.SIZE_TEST": "[64, 32]",
    "DATALOADER.NUM_WORKERS": 0,
    "DATALOADER.NUM_INSTANCE": 2,
    "DATALOADER.MAX_BATCHES_PER_EPOCH": 6,
    "DATASETS.TRIALS": 1,
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.MAX_EPOCH": 4,
    "SOLVER.CHECKPOINT_PERIOD": 1,
    "TEST.EVAL_PERIOD": 1,
}
LONGEST = 300  # seconds of a training


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Kill a training once or twice, resume it, and compare its weights with one's that was not killed.

    A resumed run may also refuse to go on, in one line.
    """
    tally, draw = Tally(), random.Random(seed)
    generate_dataset(
        "sysu",
        folder / "SYSU-MM01",
        identities=12,
        images=3,
        seed=0,
        size=(64, 32),
        workers=1,
        progress=False,
    )
    started = time.monotonic()
    expected = weights(train(folder, folder / "whole", "whole"))
    seconds = time.monotonic() - started
    for number in range(cases):
        moments = [draw.uniform(0.2, 1.0) * seconds for _ in range(draw.choice([1, 2]))]
        case = f"killed after {', '.join(f'{moment:.1f}' for moment in moments)} s"
        attempt(tally, case, lambda n=number, m=moments: resumed(folder, n, m, expected), 4 * LONGEST)
    return tally


def resumed(folder: Path, number: int, moments: list[float], expected: dict[str, Any]) -> None:
    """Kill and resume; the weights in the end are the same."""
    output = folder / f"run_{number}"
    for moment in moments:
        train(folder, output, "killed", kill_after=moment)
    found = weights(train(folder, output, "resumed"))
    assert found.keys() == expected.keys()
    different = [name for name, value in found.items() if not torch.equal(value, expected[name])]
    assert not different, f"{len(different)} tensors differ, such as {different[0]}"
    left = [path.name for path in output.iterdir() if path.name.endswith(".tmp")]
    assert not left, f"left over: {left}"


def train(folder: Path, output: Path, what: str, kill_after: float | None = None) -> Path:
    """Train; --resume goes on where there is a checkpoint. The output folder."""
    command = [sys.executable, "-m", "vireid", "train", "--resume", "--config-file", "pmcm/demo"]
    command += [str(word) for pair in SETTINGS.items() for word in pair] + ["OUTPUT_DIR", str(output)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "FASTREID_DATASETS": str(folder), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, errors = child.communicate(timeout=kill_after if kill_after is not None else LONGEST)
    except subprocess.TimeoutExpired:
        assert kill_after is not None, f"{what}: it takes more than {LONGEST} seconds"
        return output
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    lines = errors.decode(errors="replace").strip().splitlines()
    if child.returncode:
        refusal = lines[-1] if lines else f"status {child.returncode}"
        assert refusal.startswith("error: "), f"{what}: {refusal}"
        raise UserError(refusal)
    return output


def weights(output: Path) -> dict[str, Any]:
    """Of the last epoch."""
    content: dict[str, Any] = torch.load(output / "model_final.pth", weights_only=True)["model"]
    return content
