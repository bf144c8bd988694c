"""On which device a process embeds."""

import os

import torch

from vireid.errors import ConfigError


def check_device(device: str | None) -> None:
    """Refuse a GPU that was asked for where PyTorch finds none.

    Raises:
        ConfigError: names it.
    """
    if device and device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"--device is {device}, and PyTorch finds no GPU; leave it out, or give cpu")


def default_device(device: str) -> str:
    """For "cuda" a GPU, of several processes on a machine each its own; the CPU where there is none."""
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return "cpu"
    if device != "cuda":
        return device
    return f"cuda:{local_rank() % torch.cuda.device_count()}"


def local_rank() -> int:
    """The number of this process among those that torchrun started on this machine; 0 without it."""
    return int(os.environ.get("LOCAL_RANK", 0))
