"""What the processes of a run do that signals end, and that goes on."""

import contextlib
import io
import os
import signal
from pathlib import Path

import torch
from fastreid.utils import comm

from configs import PROJECTS, TINY
from training import SHORT
from vireid.commands.main import main
from vireid.engine.step import OptimizationStep

STEPS, EPOCHS = 3, 2
SETTINGS = {
    **TINY,
    **{key.replace("__", "."): value for key, value in SHORT.items()},
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.MAX_EPOCH": EPOCHS,
    "SOLVER.OPT": "Adam",
    "SOLVER.CHECKPOINT_MINUTES": 0.0,
    "DATALOADER.MAX_BATCHES_PER_EPOCH": STEPS,
    "TEST.EVAL_PERIOD": -1,
}


def words(output, *flags, **changes):
    """The words after ``vireid`` that train PMCM, whose masks are drawn from the generators, in ``output``;
    in a change's name ``__`` stands for a dot."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    pairs = {**SETTINGS, "OUTPUT_DIR": str(output), **changed}
    settings = [str(item) for pair in pairs.items() for item in pair]
    return ["train", *flags, "--config-file", str(PROJECTS / "PMCM/configs/sysu.yml"), *settings]


def run_command(arguments):
    """Run ``vireid`` in this process of a group: (exit status, its lines of standard error).

    It is as torchrun starts it: it takes the signal that it is sent and the one of its launcher for one.
    """
    os.environ["LOCAL_RANK"] = str(comm.get_rank())
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        status = main(arguments)
    comm.synchronize()
    return status, said.getvalue().splitlines()


@contextlib.contextmanager
def signals_at(step, ranks):
    """While entered, the processes of ``ranks`` get SIGTERM at the beginning of a step, counted from 0."""
    call, seen = OptimizationStep.__call__, []

    def stopping(self, *arguments):
        seen.append(self)
        if len(seen) - 1 == step and comm.get_rank() in ranks:
            os.kill(os.getpid(), signal.SIGTERM)
        return call(self, *arguments)

    OptimizationStep.__call__ = stopping
    try:
        yield
    finally:
        OptimizationStep.__call__ = call


def stop_and_resume(folder, cases):
    """Train undisturbed; and, for each case, be stopped and go on. Each process saves how its commands ended.

    Args:
        cases: name -> (step, ranks) of ``signals_at``.
    """
    ends = {"whole": run_command(words(folder / "whole"))}
    for name, (step, ranks) in cases.items():
        with signals_at(step, ranks):
            stopped = run_command(words(folder / name))
        saved = torch.load(folder / name / "model_within_epoch.pth", weights_only=True)
        place = (saved["epoch"], saved["step"])
        comm.synchronize()
        ends[name] = (*stopped, place, run_command(words(folder / name, "--resume")))
    torch.save(ends, Path(folder) / f"{comm.get_rank()}.pth")


def resume(folder, epochs):
    """Go on with the run in ``folder`` up to ``epochs``; each process saves how that ended."""
    arguments = words(folder / "run", "--resume", SOLVER__MAX_EPOCH=epochs)
    torch.save(run_command(arguments), folder / f"{comm.get_rank()}.pth")
