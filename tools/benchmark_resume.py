"""The ``resume`` subject of benchmark.py: runs that are killed at random moments, and what that costs.

A small training on generated images is run once undisturbed. Then it is run again, ended at random moments by
SIGKILL or by SIGTERM and resumed each time, until it is through; its final weights are compared with the
undisturbed ones bit for bit. What a kill costs is the time from the first resumed step to the iteration that
was reached before, which SOLVER.CHECKPOINT_MINUTES bounds. It takes six minutes on two CPU cores.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = """
examples:
  the figures of docs/performance.md: 20 moments
    python tools/benchmark.py resume --json resume.json
  another method, two moments:
    python tools/benchmark.py resume --runs 1 --kills 2 --config-file mcja/demo
"""
SIZE = (64, 32)
SMALL = [
    "MODEL.DEVICE", "cpu", "MODEL.BACKBONE.WIDTH", "16", "INPUT.SIZE_TRAIN", str(list(SIZE)),
    "INPUT.SIZE_TEST", str(list(SIZE)), "INPUT.PADDING.SIZE", "4", "DATALOADER.NUM_INSTANCE", "2",
    "SOLVER.IMS_PER_BATCH", "16", "SOLVER.MAX_EPOCH", "4", "DATALOADER.MAX_BATCHES_PER_EPOCH", "25",
    "SOLVER.CHECKPOINT_PERIOD", "2", "TEST.EVAL_PERIOD", "-1",
]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument("--config-file", metavar="FILE", default="pmcm/demo")
    parser.add_argument("--runs", metavar="N", type=int, default=4)
    parser.add_argument("--kills", metavar="N", type=int, default=5, help="of each run")
    parser.add_argument("--minutes", metavar="M", type=float, default=0.02, help="SOLVER.CHECKPOINT_MINUTES")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the moments")
    parser.add_argument("--child", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print; in a child process, train."""
    if arguments.child:
        train(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Run, kill, resume, compare, print."""
    from synthvi import generate_dataset

    generate_dataset(
        "sysu", folder / "SYSU-MM01", identities=20, images=4, seed=0, size=SIZE, workers=1, progress=False
    )
    os.environ["FASTREID_DATASETS"] = str(folder)
    whole = folder / "whole"
    started(arguments, whole).wait()
    steps = progress(whole)
    duration = steps[-1].moment - steps[0].moment
    rng = random.Random(arguments.seed)
    equal, costs = 0, []
    names = {"SIGKILL": 0, "SIGTERM": 0}
    for number in range(arguments.runs):
        one = folder / f"run{number}"
        for _ in range(arguments.kills):
            before = len(progress(one))
            process = started(arguments, one)
            while len(progress(one)) == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, duration / arguments.kills))
            kind = rng.choice((signal.SIGKILL, signal.SIGTERM))
            process.send_signal(kind)
            process.wait()
            names[kind.name] += process.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM)
        if started(arguments, one).wait():
            sys.exit(f"error: the resumed run failed; its log is {one / 'log.txt'}")
        costs += repeated_seconds(progress(one))
        equal += same_weights(whole, one)
    kills = sum(names.values())
    figures = {
        "config": arguments.config_file, "iterations": len(steps), "runs": arguments.runs, "kills": names,
        "equal_runs": equal, "checkpoint_seconds": 60 * arguments.minutes,
        "largest_repeated_seconds": max(costs, default=0.0), "step_seconds": duration / (len(steps) - 1),
    }  # fmt: skip
    print(f"{arguments.runs} runs of {len(steps)} iterations, ended {kills} times: {names}")
    print("| what | found | expected |\n| --- | --- | --- |")
    print(f"| runs with the weights of the undisturbed one, bit for bit | {equal} | {arguments.runs} |")
    bound = 60 * arguments.minutes + figures["step_seconds"]
    print(
        "| longest time from the first resumed step to the iteration reached before "
        f"| {max(costs, default=0):.2f} s | {bound:.2f} s or less: CHECKPOINT_MINUTES and a step |"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if equal < arguments.runs:
        sys.exit("error: a resumed run ended with other weights")


def started(arguments: argparse.Namespace, folder: Path) -> subprocess.Popen:
    """A training in ``folder``, resumed where there is something to resume from."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), "resume", "--child", str(folder)]
    command += ["--config-file", arguments.config_file, "--minutes", str(arguments.minutes), *arguments.opts]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def train(arguments: argparse.Namespace) -> None:
    """Train in this process; note when each iteration begins, and in which process."""
    import vireid  # noqa: F401  isort: skip  (makes the toolkit importable)
    from fastreid.engine import HookBase

    from vireid.engine import VIReIDTrainer, full_config, setup

    minutes = ["SOLVER.CHECKPOINT_MINUTES", str(arguments.minutes)]
    place = ["OUTPUT_DIR", str(arguments.child)]
    cfg = full_config(arguments.config_file, [*SMALL, *minutes, *arguments.opts, *place])
    trainer = VIReIDTrainer(setup(cfg, argparse.Namespace(config_file="", eval_only=False)))
    trainer.resume_or_load(resume=True)

    class Progress(HookBase):
        def before_step(self) -> None:
            with open(arguments.child / "progress", "a") as file:
                file.write(f"{os.getpid()} {self.trainer.iter} {time.monotonic()}\n")

    trainer.register_hooks([Progress()])
    try:
        trainer.train()
    except KeyboardInterrupt as error:
        sys.exit(getattr(error, "exit_status", 130))


class Step(NamedTuple):
    """A step that has begun."""

    process: int
    iteration: int
    moment: float  # in seconds


def progress(folder: Path) -> list[Step]:
    """The steps that have begun, in order."""
    file = folder / "progress"
    lines = file.read_text().splitlines() if file.exists() else []
    return [
        Step(int(process), int(iteration), float(moment))
        for process, iteration, moment in map(str.split, lines)
    ]


def repeated_seconds(steps: list[Step]) -> list[float]:
    """For each resumed process that repeats iterations: the time from its first step to the iteration that
    the run had reached before, or to its own end."""
    found, furthest = [], -1
    for _, group in groupby(steps, key=lambda step: step.process):
        own = list(group)
        repeated = [step.moment for step in own if step.iteration <= furthest]
        if repeated:
            found.append(repeated[-1] - repeated[0])
        furthest = max(furthest, own[-1].iteration)
    return found


def same_weights(one: Path, other: Path) -> bool:
    """Whether the final weights are equal bit for bit."""
    import torch

    first, second = (
        torch.load(folder / "model_final.pth", weights_only=True)["model"] for folder in (one, other)
    )
    return all(torch.equal(value, second[name]) for name, value in first.items())
