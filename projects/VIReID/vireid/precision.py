"""Mixed precision, on any device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def autocast(
    device_type: str, dtype: torch.dtype | None = None, *, enabled: bool
) -> AbstractContextManager[Any]:
    """``torch.autocast``; nothing on a device that has none (PyTorch's meta), if it is not enabled."""
    if not enabled and not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, dtype=dtype, enabled=enabled)
