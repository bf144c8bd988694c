#!/usr/bin/env python
"""Show what a config's model is made of and costs: parameters, the modules of each modality's own, feature
map and embedding, FLOPs of an image of each modality, memory and speed of a forward pass.

Weights are random, and nothing is read or downloaded: none of the figures depends on them.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import json
import logging
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

EXAMPLES = """
examples:
  python tools/model_info.py --config-file projects/PMCM/configs/sysu.yml
  python tools/model_info.py --json --config-file projects/MCJA/configs/sysu.yml \\
      MODEL.BACKBONE.NAME build_osnet_backbone MODEL.BACKBONE.DEPTH x1_0
"""
BATCH_SIZES = (1, 32)


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="the config of the model")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="how long each speed is measured (default 2)"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config options: KEY VALUE ...")
    args = parser.parse_args()

    from vireid.errors import UserError

    logging.basicConfig(level=logging.WARNING)
    try:
        info = describe(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(info, indent=2) if args.json else table(info))
    return 0


def describe(args: argparse.Namespace) -> dict[str, Any]:
    """Everything that the tool prints, by name; ``parameters`` in numbers, FLOPs in multiply-adds times 2."""
    from _configurations import full_config
    from vireid.engine import VIReIDTrainer
    from vireid.engine.checks import check_config
    from vireid.engine.seeds import seed_everything
    from vireid.modality import Modality

    cfg = full_config(args.config_file, args.opts)
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.PRETRAIN = False
    check_config(cfg)
    seed_everything(cfg.SEED)
    model: Any = VIReIDTrainer.build_model(cfg).eval()
    size = tuple(cfg.INPUT.SIZE_TEST)
    shapes: list[tuple[int, ...]] = []
    hook = model.backbone.register_forward_hook(
        lambda module, args, output: shapes.append(tuple(output.shape))
    )
    embedding = forward(model, [Modality.VISIBLE], size)
    hook.remove()
    return {
        "backbone": f"{cfg.MODEL.BACKBONE.NAME} {cfg.MODEL.BACKBONE.DEPTH}",
        "image_size": list(size),
        "feature_map": list(shapes[0][1:]),
        "embedding": embedding.shape[1],
        "parameters": count_parameters(model),
        "modality_specific": list(model.modality_specific),
        "flops": {
            modality.name.lower(): count_flops(model, modality, size)
            for modality in (Modality.VISIBLE, Modality.INFRARED)
        },
        "device": device_name(cfg.MODEL.DEVICE),
        "batches": {str(count): measure(model, count, size, args.seconds) for count in BATCH_SIZES},
    }


def forward(model: nn.Module, modalities: list[int], size: tuple[int, int]) -> Tensor:
    """Embeddings (N, D) of black images."""
    batch = {
        "images": torch.zeros(len(modalities), 3, *size, dtype=torch.uint8),
        "modalities": torch.tensor(modalities),
    }
    with torch.inference_mode():
        embeddings: Tensor = model(batch)
    return embeddings


def count_parameters(model: Any) -> dict[str, int]:
    """Parameters of the model, its backbone and head, and each copy of the modality-specific modules."""
    from vireid.modeling.two_stream import ModalityRoute

    def numbers(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    copies: dict[str, int] = {}
    for module in model.modules():
        if isinstance(module, ModalityRoute):
            for name, copy in module.named_children():
                copies[name] = copies.get(name, 0) + numbers(copy)
    found = {"total": numbers(model), "backbone": numbers(model.backbone), "head": numbers(model.heads)}
    return {**found, **{f"{name}_only": count for name, count in copies.items()}}


def count_flops(model: nn.Module, modality: int, size: tuple[int, int]) -> int:
    """FLOPs of the convolutions and matrix products for one image, two for each multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        forward(model, [modality], size)
    return int(counter.get_total_flops())


def measure(model: nn.Module, count: int, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """Peak memory of a forward pass beside the weights, and images a second; half of them infrared."""
    modalities = [0] * (count - count // 2) + [1] * (count // 2)
    on_gpu = model.device.type == "cuda"
    forward(model, modalities, size)
    memory = gpu_memory(model, modalities, size) if on_gpu else cpu_memory(model, modalities, size)
    runs, started = 0, time.perf_counter()
    while runs == 0 or time.perf_counter() - started < seconds:
        forward(model, modalities, size)
        if on_gpu:
            torch.cuda.synchronize()
        runs += 1
    speed = runs * count / (time.perf_counter() - started)
    return {"memory_mib": round(memory / 2**20, 1), "images_per_second": round(speed, 1)}


def gpu_memory(model: nn.Module, modalities: list[int], size: tuple[int, int]) -> int:
    """Peak of what a forward pass allocates, in bytes."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    forward(model, modalities, size)
    return torch.cuda.max_memory_allocated() - before


def cpu_memory(model: nn.Module, modalities: list[int], size: tuple[int, int]) -> int:
    """Peak of what a forward pass allocates, in bytes: the CPU's allocator counts nothing itself, but the
    profiler has each of its events."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        forward(model, modalities, size)
    recorded: Any = profile.profiler
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    allocated = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        allocated += event.nbytes()
        peak = max(peak, allocated)
    return peak


def device_name(device: str) -> str:
    """The GPU's name, or the number of CPU threads."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(torch.device(device)))
    return f"CPU, {torch.get_num_threads()} threads"


def table(info: dict[str, Any]) -> str:
    """The same for reading."""
    from tabulate import tabulate

    height, width = info["image_size"]
    rows = [
        ("backbone", info["backbone"]),
        ("image", f"{height} x {width}"),
        ("feature map", " x ".join(map(str, info["feature_map"])) + " (channels, rows, columns)"),
        ("embedding", info["embedding"]),
        ("modality-specific", ", ".join(info["modality_specific"]) or "none: one stream"),
        *((f"parameters, {name}", f"{count / 1e6:.3f} M") for name, count in info["parameters"].items()),
        *((f"FLOPs, {name} image", f"{count / 1e9:.3f} G") for name, count in info["flops"].items()),
        ("device", info["device"]),
        *(
            (f"batch of {count}", f"{found['images_per_second']} images/s, {found['memory_mib']} MiB")
            for count, found in info["batches"].items()
        ),
    ]
    return str(tabulate(rows, tablefmt="plain"))


if __name__ == "__main__":
    sys.exit(main())
