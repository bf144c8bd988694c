"""The ``processes`` subject of benchmark.py: how much faster two processes train than one.

A training step of one process on one core, and of two processes on a core each that share the same batch,
with one thread a process. 2 would be ideal; what is lacking is the exchange of gradients and embeddings, and
the memory that two cores share. Images are random, and none is read. Where the processor has no instructions
for bfloat16, add SOLVER.AMP.ENABLED False.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 2  # steps that are not counted
EXAMPLES = """
examples:
  python tools/benchmark.py processes --json processes.json
  another method, more steps, in float32:
    python tools/benchmark.py processes --config-file projects/MCJA/configs/demo.yml --steps 50 \\
        SOLVER.AMP.ENABLED False
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument(
        "--config-file",
        metavar="FILE",
        type=Path,
        default=ROOT / "projects" / "PMCM" / "configs" / "demo.yml",
    )
    parser.add_argument("--steps", metavar="N", type=int, default=20, help="steps that are timed")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print both, or, in a child process, one."""
    if arguments.child:
        print(json.dumps(_measure(arguments)))
        return
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("error: this process may use one core; two are needed")
    one, two = (_children(processes, arguments) for processes in (1, 2))
    figures = {
        "config": str(arguments.config_file),
        "images": one["images"],
        "steps": arguments.steps,
        "one_process_s": one["seconds"],
        "two_processes_s": two["seconds"],
        "ratio": one["seconds"] / two["seconds"],
    }
    print(
        f"a step of {one['images']} images: {one['seconds']:.3f} s in one process on one core, "
        f"{two['seconds']:.3f} s in two on two: {figures['ratio']:.2f} times as fast"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _children(processes: int, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command += [str(ROOT / "tools" / "benchmark.py"), "processes", "--child"]
    command += ["--config-file", str(arguments.config_file), "--steps", str(arguments.steps), *arguments.opts]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return next(line for line in lines if line["rank"] == 0)


def _measure(arguments: argparse.Namespace) -> dict[str, float]:
    """The median time of a step, of this process of those that torchrun started."""
    core = sorted(os.sched_getaffinity(0))[int(os.environ["LOCAL_RANK"])]
    os.sched_setaffinity(0, {core})
    import vireid  # noqa: F401  isort: skip  (makes the toolkit importable)
    import numpy as np
    import torch
    from fastreid.utils import comm

    from vireid import host
    from vireid.engine import full_config
    from vireid.engine.models import build_model, distributed
    from vireid.engine.seeds import seed_everything
    from vireid.engine.step import OptimizationStep, build_optimizer

    torch.set_num_threads(1)
    cfg = full_config(str(arguments.config_file), arguments.opts)
    cfg.MODEL.DEVICE, cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.HEADS.NUM_CLASSES = "cpu", False, 100
    host.join_process_group("cpu")
    seed_everything(cfg.SEED)
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    model = distributed(model).train()
    step = OptimizationStep(model, None, optimizer, cfg)  # type: ignore[arg-type]
    count, each = cfg.SOLVER.IMS_PER_BATCH // comm.get_world_size(), cfg.DATALOADER.NUM_INSTANCE
    targets = torch.arange(count // 2) // each + comm.get_rank() * count
    batch = {
        "images": torch.randint(0, 256, (count, 3, *cfg.INPUT.SIZE_TRAIN), dtype=torch.uint8),
        "targets": targets.repeat(2) % 100,
        "camids": torch.zeros(count, dtype=torch.long),
        "modalities": torch.arange(count) * 2 // count,
    }
    times = []
    for _ in range(WARM_UP + arguments.steps):
        started = time.perf_counter()
        step(batch)
        times.append(time.perf_counter() - started)
    seconds = float(np.median(times[WARM_UP:]))
    return {"rank": comm.get_rank(), "seconds": seconds, "images": count * comm.get_world_size()}
