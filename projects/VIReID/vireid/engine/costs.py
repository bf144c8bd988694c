"""What a model costs: parameters, FLOPs, memory and speed of a forward pass."""

import time
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from yacs.config import CfgNode

from vireid.engine.checks import check_config
from vireid.engine.models import build_model
from vireid.engine.seeds import seed_everything
from vireid.modality import Modality
from vireid.modeling.two_stream import ModalityRoute

BATCH_SIZES = (1, 32)


def model_costs(cfg: CfgNode, seconds: float) -> dict[str, Any]:
    """Sizes and costs of a config's model, by name.

    Args:
        cfg: merged, not frozen; a missing GPU is replaced by the CPU in it.
        seconds: how long each speed is measured.

    Returns:
        Plain values: "parameters" in numbers, "flops" of one image (two for each multiply-add), and under
        "batches", for each batch size, "memory_mib" and "images_per_second".

    Raises:
        ConfigError: see ``check_config``.
    """
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.PRETRAIN = False
    check_config(cfg)
    seed_everything(cfg.SEED)
    model: Any = build_model(cfg).eval()
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
        "batches": {str(count): measure(model, count, size, seconds) for count in BATCH_SIZES},
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
    with FlopCounterMode(display=False) as counter:
        forward(model, [modality], size)
    return int(counter.get_total_flops())


def measure(model: nn.Module, count: int, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """Peak memory of a forward pass beside the weights, and images a second; half of them infrared."""
    modalities = [0] * (count - count // 2) + [1] * (count // 2)
    device = cast(torch.device, model.device)
    on_gpu = device.type == "cuda"
    forward(model, modalities, size)
    memory = gpu_memory(model, modalities, size) if on_gpu else cpu_memory(model, modalities, size)
    runs, started = 0, time.perf_counter()
    while runs == 0 or time.perf_counter() - started < seconds:
        forward(model, modalities, size)
        if on_gpu:
            torch.cuda.synchronize(device)
        runs += 1
    speed = runs * count / (time.perf_counter() - started)
    return {"memory_mib": round(memory / 2**20, 1), "images_per_second": round(speed, 1)}


def gpu_memory(model: nn.Module, modalities: list[int], size: tuple[int, int]) -> int:
    """Peak of what a forward pass allocates, in bytes."""
    device = cast(torch.device, model.device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    forward(model, modalities, size)
    return torch.cuda.max_memory_allocated(device) - before


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
