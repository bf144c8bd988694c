"""Mixed precision: SOLVER.AMP, on any device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from yacs.config import CfgNode

from vireid.errors import ConfigError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast_dtype(cfg: CfgNode) -> torch.dtype | None:
    """The format that a training step computes in beside float32; None for float32 alone.

    SOLVER.AMP.DTYPE "auto" is bf16 where MODEL.DEVICE computes in it. Without such instructions a CPU takes
    several times as long in bf16 as in float32.

    Raises:
        ConfigError: fp16 on the CPU.
    """
    name, device = cfg.SOLVER.AMP.DTYPE, torch.device(cfg.MODEL.DEVICE).type
    if not cfg.SOLVER.AMP.ENABLED:
        return None
    if name == "fp16" and device == "cpu":
        raise ConfigError("SOLVER.AMP.DTYPE fp16 needs a GPU; on the CPU set it to auto or bf16")
    if name == "auto":
        return torch.bfloat16 if computes_in_bf16(device) else None
    return DTYPES[name]


def computes_in_bf16(device: str) -> bool:
    """Whether a "cpu" or "cuda" device has instructions for bf16."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10: what oneDNN says
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))


def autocast(
    device_type: str, dtype: torch.dtype | None = None, *, enabled: bool
) -> AbstractContextManager[Any]:
    """``torch.autocast``; nothing on a device that has none (PyTorch's meta), if it is not enabled."""
    if not enabled and not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, dtype=dtype, enabled=enabled)
