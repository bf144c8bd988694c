"""Reading weight files without executing code."""

import os
from pathlib import Path
from typing import Any

import torch

from vireid.errors import CheckpointError


def read_tensors(path: str | Path, key: str) -> Any:
    """What a file of ``torch.save`` holds: tensors and plain values, on the CPU.

    Args:
        path: the file.
        key: the config key that names it, for the error.

    Raises:
        CheckpointError: no such file, or it holds anything else, or is damaged.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{key}: no file {path}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails on garbage in any way there is
        reason = str(error).split("(1)")[0].strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{key}: {path} is not a checkpoint of plain tensors, or is damaged; it was not executed "
            f"({reason[0]})"
        ) from None
