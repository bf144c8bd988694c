"""The ``step`` subject of benchmark.py: what a method's training step takes beside its bare backbone.

A step of AGW, MCJA and PMCM (normalization, batch transforms, two streams, head, losses, backward, update)
over the forward, the backward and an Adam step of the toolkit's backbone alone, on as many images; those that
PatchMix adds are counted. And the step of MCJA's config as shipped over the same in float32, contiguous.
Images are random, and none is read. The two sides take turns, and a ratio is the median over the turns.

With the default sizes (ResNet-50, 384x192, 32 images) a turn takes a minute on two CPU cores.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLES = """
examples:
  the table of docs/performance.md:
    python tools/benchmark.py step --dtype fp32 --turns 3 --json step.json
  a first look, in a minute:
    python tools/benchmark.py step --size 128 64 --images 16 --turns 3
  one method, in the format that the device computes in, with an option of its config:
    python tools/benchmark.py step --methods PMCM --dtype auto MODEL.PATCH_MIX.PATCH_SIZE 8
"""
METHODS = {"AGW": "vireid/sysu", "MCJA": "mcja/sysu", "PMCM": "pmcm/sysu"}
TARGETS = {"AGW": 1.08, "MCJA": 1.15, "PMCM": 1.12, "shipped": 0.35}
IDENTITIES = 395  # of SYSU-MM01's training set


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--size", metavar=("H", "W"), nargs=2, type=int, default=[384, 192])
    parser.add_argument("--images", metavar="N", type=int, default=32, help="of a batch; a multiple of 8")
    parser.add_argument(
        "--turns", metavar="N", type=int, default=5, help="that are timed, after one that is not"
    )
    parser.add_argument("--dtype", choices=("fp32", "bf16", "auto"), default="bf16", help="channels-last")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--profile", action="store_true", help="print the costliest operators of both sides")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    import torch

    precision = ["SOLVER.AMP.ENABLED", str(arguments.dtype != "fp32"), "MODEL.CHANNELS_LAST", "True"]
    if arguments.dtype != "fp32":
        precision += ["SOLVER.AMP.DTYPE", arguments.dtype]
    rows = []
    for name in arguments.methods:
        step, images = method_step(METHODS[name], arguments, precision)
        rows.append(
            (
                name,
                f"its backbone on {images} images",
                *compare(step, bare_step(name, images, arguments, precision), arguments),
            )
        )
    if "MCJA" in arguments.methods:
        plain = ["SOLVER.AMP.ENABLED", "False", "MODEL.CHANNELS_LAST", "False"]
        shipped, slow = (method_step(METHODS["MCJA"], arguments, opts)[0] for opts in ([], plain))
        rows.append(("shipped", "MCJA in float32, contiguous", *compare(shipped, slow, arguments)))
    height, width = arguments.size
    print(
        f"ResNet-50, {height}x{width}, {arguments.images} images, {arguments.dtype}, channels-last, "
        f"{torch.get_num_threads()} threads, {device_name(arguments.device)}"
    )
    print("| step of | s | over that of | s | ratio | target |\n| --- | --- | --- | --- | --- | --- |")
    figures = []
    for name, other, seconds, other_seconds, ratio in rows:
        shown = "MCJA as it is shipped" if name == "shipped" else name
        print(f"| {shown} | {seconds:.3f} | {other} | {other_seconds:.3f} | {ratio:.3f} | {TARGETS[name]} |")
        figures.append(
            {
                "step": shown,
                "seconds": seconds,
                "over": other,
                "over_seconds": other_seconds,
                "ratio": ratio,
                "target": TARGETS[name],
            }
        )
    if arguments.json:
        record = {
            "size": arguments.size,
            "images": arguments.images,
            "dtype": arguments.dtype,
            "device": device_name(arguments.device),
            "threads": torch.get_num_threads(),
            "rows": figures,
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


def config_of(file: str, arguments: argparse.Namespace, opts: list[str]) -> Any:
    """A method's config at the sizes that were asked for."""
    import vireid  # noqa: F401  isort: skip  (makes the toolkit importable)
    from vireid.engine import full_config

    cfg = full_config(file, [*opts, *arguments.opts])
    cfg.MODEL.DEVICE, cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.HEADS.NUM_CLASSES = (
        arguments.device,
        False,
        IDENTITIES,
    )
    cfg.INPUT.SIZE_TRAIN = list(arguments.size)
    return cfg


def method_step(
    file: str, arguments: argparse.Namespace, opts: list[str]
) -> tuple[Callable[[], object], int]:
    """A function that does one step, and the images that the backbone sees in it."""
    import torch

    from vireid.engine.models import build_model
    from vireid.engine.step import OptimizationStep, build_optimizer

    cfg = config_of(file, arguments, opts)
    torch.manual_seed(0)
    model: Any = build_model(cfg).train()
    step = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)  # type: ignore[arg-type]
    step.waits = False
    count = arguments.images
    batch = {
        "images": torch.randint(0, 256, (count, 3, *arguments.size), dtype=torch.uint8),
        "targets": (torch.arange(count // 2) // 4).repeat(2),  # four visible and four infrared images of each
        "camids": torch.zeros(count, dtype=torch.long),
        "modalities": torch.arange(count) * 2 // count,
    }
    step(batch)
    return lambda: step(batch), sum(model.layout.sizes)


def bare_step(name: str, images: int, arguments: argparse.Namespace, opts: list[str]) -> Callable[[], object]:
    """A function that does the forward, the backward and an Adam step of the backbone alone."""
    import torch

    from vireid.modeling.backbones import build_backbone
    from vireid.precision import autocast, autocast_dtype

    cfg = config_of(METHODS[name], arguments, opts)
    torch.manual_seed(0)
    backbone: Any = build_backbone(cfg).train()
    backbone.to(arguments.device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(backbone.parameters(), fused=arguments.device == "cuda" or None)
    batch = torch.randn(images, 3, *arguments.size, device=arguments.device)
    batch = batch.contiguous(memory_format=torch.channels_last)
    dtype = autocast_dtype(cfg)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(arguments.device, dtype, enabled=dtype is not None):
            features = backbone(batch)
        features.float().mean().backward()
        optimizer.step()

    step()
    return step


def compare(
    step: Callable[[], object], other: Callable[[], object], arguments: argparse.Namespace
) -> tuple[float, float, float]:
    """Median seconds of both, and the median over the turns of their ratio."""
    if arguments.profile:
        for side in (step, other):
            print(profiled(side))
    turns = [
        (seconds(step, arguments.device), seconds(other, arguments.device)) for _ in range(arguments.turns)
    ]
    one, two = (statistics.median(side) for side in zip(*turns))
    return one, two, statistics.median(first / second for first, second in turns)


def seconds(step: Callable[[], object], device: str) -> float:
    """The time of one call, the device's work included."""
    import torch

    started = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def profiled(step: Callable[[], object]) -> str:
    """The operators of a call that take longest."""
    from torch.profiler import profile

    with profile() as profiler:
        step()
    return profiler.key_averages().table(
        sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=40
    )


def device_name(device: str) -> str:
    """The chip's name."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "a CPU")
