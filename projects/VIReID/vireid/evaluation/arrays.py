"""Arrays of callers: arrays, sequences or tensors of any type, as the code here takes them."""

from typing import Any

import numpy as np
import torch

from vireid.errors import ConfigError, UserError
from vireid.modality import Modality

MOST_TRIALS = 1000


def as_array(values: Any, name: str = "an argument") -> np.ndarray:
    """A NumPy array of an array, sequence or tensor on any device.

    Raises:
        UserError: rows of different lengths.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return values.float().numpy() if values.dtype == torch.bfloat16 else values.numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise UserError(f"{name} is no array ({error})") from None


def as_float(values: np.ndarray) -> np.ndarray:
    """float64 and float32 as they are, float16 as float32, integers as float64.

    Raises:
        UserError: no real numbers.
    """
    if values.dtype.kind not in "fiub":
        raise UserError(f"distances are of type {values.dtype}; expected real numbers")
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def require_finite(values: np.ndarray, name: str) -> None:
    """Raise UserError with the number of NaN and infinite entries and where the first ones are."""
    total = float(values.sum(dtype=np.float64)) if values.size else 0.0
    if np.isfinite(total):  # one pass without a mask: any NaN or infinity would have reached the sum
        return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad) == 0:
        return
    shown = ", ".join(str(tuple(int(i) for i in where)) for where in bad[:5])
    raise UserError(
        f"{name} holds {len(bad)} values that are NaN or infinite, the first at {shown}: "
        "nothing can be ranked by them"
    )


def whole_numbers(values: Any, name: str) -> np.ndarray:
    """(N,) int64 of an array, sequence or tensor of integers, or of floats that are whole.

    Raises:
        UserError: another shape or type, or a number beyond int64.
    """
    array = as_array(values, name)
    if array.ndim == 1 and not array.size:
        return np.zeros(0, dtype=np.int64)
    largest = np.abs(array.astype(np.float64)).max() if array.dtype.kind in "iuf" and array.size else np.inf
    whole = array.dtype.kind in "iu" or (largest < 2.0**53 and np.array_equal(array, np.round(array)))
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not largest < 2.0**63 or not whole:
        raise UserError(
            f"{name} has shape {array.shape} and type {array.dtype}; expected whole numbers in one dimension"
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def labels(values: Any, name: str) -> np.ndarray:
    """(N,) identities of an array, sequence or tensor: whole numbers, or text.

    Raises:
        UserError: another shape, or values that are neither.
    """
    array = as_array(values, name)
    if array.dtype == object and all(isinstance(value, str) for value in array.ravel().tolist()):
        array = array.astype(str)
    return array if array.dtype.kind in "SU" and array.ndim == 1 else whole_numbers(array, name)


def is_integer(value: Any) -> bool:
    """Whether an argument is an integer, of Python or NumPy, and not True or False."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def require_trials(trials: Any) -> None:
    """Raise ConfigError where a number of trials is not from 1 to MOST_TRIALS."""
    if not is_integer(trials) or not 1 <= trials <= MOST_TRIALS:
        raise ConfigError(f"trials is {trials}; it must be at least 1, and at most {MOST_TRIALS}")


def labels_of_images(**named: Any) -> list[np.ndarray]:
    """Arrays of whole numbers, one entry an image, by argument name.

    Raises:
        UserError: one is no such array, or they are not as many.
    """
    arrays = [whole_numbers(values, name) for name, values in named.items()]
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(f"{len(array)} {name}" for name, array in zip(named, arrays))
        raise UserError(f"{counts}: there must be as many of each")
    return arrays


def person_camera_keys(pids: np.ndarray, camids: np.ndarray) -> np.ndarray:
    """(N,) int64: equal where identity and camera are, as a trial's keys.

    Raises:
        UserError: a number below 0 or above 2147483647.
    """
    if len(pids) and (min(pids.min(), camids.min()) < 0 or max(pids.max(), camids.max()) >= 2**31):
        raise UserError("pids and camids must be from 0 to 2147483647")
    return pids * (int(camids.max(initial=0)) + 1) + camids


def require_both_modalities(modalities: np.ndarray) -> None:
    """Raise UserError where (N,) modalities are not visible and infrared, both of them."""
    found = set(np.unique(modalities).tolist())
    if found != {int(Modality.VISIBLE), int(Modality.INFRARED)}:
        raise UserError(
            f"modalities hold {sorted(found)}; expected {int(Modality.VISIBLE)} (visible) and "
            f"{int(Modality.INFRARED)} (infrared), at least one image of each"
        )


def require_shapes(**named: tuple[np.ndarray | None, tuple[int, ...]]) -> None:
    """Raise ValueError where an array, by its name, has not the shape beside it: what a compiled loop would
    read beyond its end."""
    for name, (array, shape) in named.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape}")


def require_positions(positions: np.ndarray, count: int, name: str) -> None:
    """Raise ValueError where one is not -1 (none) or among ``count`` rows."""
    if positions.size and not (positions.min() >= -1 and positions.max() < count):
        raise ValueError(
            f"{name} hold {positions.min()} to {positions.max()}; expected -1 to {count - 1}, the rows"
        )
