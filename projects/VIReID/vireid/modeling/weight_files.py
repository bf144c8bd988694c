"""Reading weight files without executing code."""

import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vireid.errors import CheckpointError
from vireid.files import fault_of_file, refuse_machine_fault

# Keys under which published checkpoints hold their state dict.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state", "model", "net")
MOST_WRAPPERS = 5  # one within another: published files have two at most, and a made-up one has no end
# What NumPy's numbers and arrays are made by, under the names that files of NumPy 1 and 2 have for it.
MAKERS: list[Any] = [value.__reduce__()[0] for value in (np.float64(0), np.zeros(1))]
NUMPY: list[Any] = [
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"},
    *((maker, f"numpy.{core}.multiarray.{maker.__name__}") for maker in MAKERS for core in ("core", "_core")),
]


def read_tensors(path: str | Path, key: str) -> Any:
    """Read a file of tensors to the CPU.

    A file of ``torch.save`` may contain tensors, plain values, and numbers and arrays of NumPy. A
    ``.safetensors`` file gives its tensors by name.

    Args:
        path: the file.
        key: the config key that names it, for the error.

    Raises:
        CheckpointError: no such file, or it holds anything else, would unpack to more than it is, or is
            damaged.
    """
    _require_file(path, key)
    if str(path).endswith(".safetensors"):
        return read_safetensors(path, key)[0]
    try:
        _require_stored(path)
        with warnings.catch_warnings(), _numpy_numbers():
            warnings.simplefilter("ignore")  # of a damaged pickle: what it holds is looked at below
            with torch.serialization.safe_globals(NUMPY):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails on garbage in any way there is
        refuse_machine_fault(error, path)
        reason = str(error).split("(1)")[0].strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{key}: {path} is not a checkpoint of plain tensors, or is damaged; it was not executed "
            f"({reason[0]})"
        ) from None
    for name, tensor in _tensors(content):
        fault = _fault_of_tensor(tensor)
        if fault:
            raise CheckpointError(f"{key}: {path}: the tensor {name} {fault}")
    return content


@contextmanager
def _numpy_numbers() -> Iterator[None]:
    """Let numbers of NumPy, as in checkpoints of the toolkit's, count as plain ones."""
    scalar: Any = np.float64(0).__reduce__()[0]
    names = ["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"]  # of NumPy 1 and 2
    kinds: list[Any] = [np.dtype, *{type(np.dtype(code)) for code in "?bhilqBHILQefd"}]
    if not hasattr(torch.serialization, "safe_globals"):  # before PyTorch 2.5
        yield
        return
    with torch.serialization.safe_globals([*kinds, *((scalar, name) for name in names)]):
        yield


def read_state_dict(path: str | Path, key: str) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, whatever they are wrapped in.

    Raises:
        CheckpointError: see ``read_tensors``; or it holds no dict of tensors.
    """
    content = read_tensors(path, key)
    for _ in range(MOST_WRAPPERS):
        wrapper = next((w for w in WRAPPERS if isinstance(content, dict) and w in content), None)
        content = content if wrapper is None else content[wrapper]
    named = content.items() if isinstance(content, dict) else ()
    tensors = {
        name: value for name, value in named if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise CheckpointError(
            f"{key}: {path} holds no state dict: expected a dict of tensors by name, or one under "
            f"{', '.join(WRAPPERS)}"
        )
    return tensors


def read_safetensors(path: str | Path, key: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a ``.safetensors`` file.

    Raises:
        CheckpointError: safetensors is not installed, no such file, it is damaged, or its metadata, but for
            its "format", are not JSON.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise CheckpointError(f"{key}: {path} needs safetensors: pip install safetensors") from None
    _require_file(path, key)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, ValueError, KeyError, RuntimeError, OSError, MemoryError) as error:
        refuse_machine_fault(error, path)
        raise CheckpointError(f"{key}: {path} is no safetensors file, or is damaged ({error})") from None
    for name, value in metadata.items():
        try:
            if name != "format":
                json.loads(value)
        except (ValueError, RecursionError):
            raise CheckpointError(
                f"{key}: {path}: its metadata {name!r} are {value[:40]!r}; expected JSON, as vireid export "
                "writes it"
            ) from None
    return tensors, metadata


def _require_file(path: str | Path, key: str) -> None:
    fault = fault_of_file(path)
    if fault == "does not exist":
        raise CheckpointError(f"{key}: no file {path}")
    if fault:
        raise CheckpointError(f"{key}: {path} {fault}")


def _require_stored(path: str | Path) -> None:
    """Refuse an archive whose files unpack to more than it is: torch.save packs nothing."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > os.path.getsize(path):
        raise ValueError(f"it unpacks to {size} bytes from {os.path.getsize(path)}")


def _tensors(content: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor in dicts and lists, however they are nested, with its name."""
    waiting, seen = [("", content)], set()
    while waiting:
        name, value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, dict):
            waiting += [(f"{name}.{key}".lstrip("."), inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(f"{name}[{place}]", inner) for place, inner in enumerate(value)]


def _fault_of_tensor(tensor: torch.Tensor) -> str:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        return "is sparse, quantized, nested or without values; expected plain numbers"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"of shape {tuple(tensor.shape)} is larger than what is stored of it"
    return ""
