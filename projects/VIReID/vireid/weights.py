"""Reading weight files without executing code."""

import os
from pathlib import Path
from typing import Any

import torch

from vireid.errors import CheckpointError


def read_tensors(path: str | Path, key: str) -> Any:
    """Read a file of tensors to the CPU.

    A file of ``torch.save`` may contain tensors and plain values. A ``.safetensors`` file gives its tensors
    by name.

    Args:
        path: the file.
        key: the config key that names it, for the error.

    Raises:
        CheckpointError: no such file, or it holds anything else, or is damaged.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{key}: no file {path}")
    if str(path).endswith(".safetensors"):
        return read_safetensors(path, key)[0]
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails on garbage in any way there is
        reason = str(error).split("(1)")[0].strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{key}: {path} is not a checkpoint of plain tensors, or is damaged; it was not executed "
            f"({reason[0]})"
        ) from None


def read_safetensors(path: str | Path, key: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a ``.safetensors`` file.

    Raises:
        CheckpointError: safetensors is not installed, no such file, or it is damaged.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise CheckpointError(f"{key}: {path} needs safetensors: pip install safetensors") from None
    if not os.path.isfile(path):
        raise CheckpointError(f"{key}: no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{key}: {path} is no safetensors file, or is damaged ({error})") from None
