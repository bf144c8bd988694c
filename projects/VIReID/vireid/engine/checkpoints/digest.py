"""The digest of a checkpoint: found again on loading, or the file is damaged.

PyTorch checks nothing when it reads a file: a bit that the disk or the network has turned over is a changed
weight.
"""

import hashlib
from typing import Any

import torch
from torch import Tensor

KEY = "digest"


def content_digest(content: Any) -> str:
    """SHA-256, as hexadecimal text, of nested dicts, lists and tuples of tensors and plain values: names,
    values, dtypes, shapes and the bytes of tensors, whatever their device and memory format."""
    found = hashlib.sha256()
    _add(found, content)
    return found.hexdigest()


def _add(found: Any, value: Any) -> None:
    if isinstance(value, dict):
        found.update(b"{%d" % len(value))
        for name, entry in value.items():
            found.update(repr(name).encode())
            _add(found, entry)
    elif isinstance(value, list | tuple):
        found.update(b"[%d" % len(value))
        for entry in value:
            _add(found, entry)
    elif isinstance(value, Tensor):
        found.update(f"{value.dtype}{tuple(value.shape)}".encode())
        plain = value.detach().cpu().contiguous().reshape(-1)
        found.update(plain.view(torch.uint8).numpy())
    else:
        found.update(f"{type(value).__name__} {value!r}".encode())


def safetensors_digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """``content_digest`` of the tensors and the metadata of a ``.safetensors`` file, whose order is not kept
    there; but for the digest itself."""
    texts = sorted((name, value) for name, value in metadata.items() if name != KEY)
    return content_digest([sorted(tensors.items(), key=lambda item: item[0]), texts])
