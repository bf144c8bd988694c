"""Features as they are ranked: checked, and scaled so that no norm or distance overflows or vanishes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vireid.errors import UserError

# Rows this much shorter than the longest lose their squared distances in float32, and in float64.
SHORTEST_SINGLE, SHORTEST_DOUBLE = 1e-12, 1e-140
# Re-ranking compares squared distances in float32 with each other and with 1.
ALIKE = 1e-6  # float32 has a cosine of 1 to 1e-7
LONGEST, SHORTEST = 1e15, 1e-15


def as_features(values: Any, name: str = "features") -> torch.Tensor:
    """An (N, D) array or tensor as a tensor of float32, or of float64 where it is.

    Raises:
        UserError: another shape, or no real numbers.
    """
    tensor = values.detach() if isinstance(values, torch.Tensor) else _from_array(values, name)
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise UserError(f"{name} has shape {tuple(tensor.shape)}; expected (n, D)")
    if tensor.is_complex():
        raise UserError(f"{name} holds complex numbers; expected real ones")
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _from_array(values: Any, name: str) -> torch.Tensor:
    try:
        array = np.asarray(values)
        if array.dtype == np.longdouble:
            array = array.astype(np.float64)
        return torch.from_numpy(np.ascontiguousarray(array))
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: expected an (n, D) array of numbers ({error})") from None


def require_finite_features(
    features: torch.Tensor, names: Sequence[str] | None = None, *, zeros: bool = True
) -> None:
    """Raise UserError with the rows of (N, D) features that hold NaN or infinity, and their images.

    Args:
        zeros: whether a row of zeros, which has no direction, is taken.
    """
    faults = {"NaN or infinite": ~torch.isfinite(features).all(dim=1)}
    if not zeros:
        faults["zero"] = (features == 0).all(dim=1)
    for fault, rows in faults.items():
        bad = torch.nonzero(rows).ravel().tolist()
        if not bad:
            continue
        shown = ", ".join(f"{row} ({names[row]})" if names is not None else str(row) for row in bad[:5])
        raise UserError(
            f"{len(bad)} of {features.shape[0]} features are {fault}: rows {shown}"
            f"{', ...' if len(bad) > 5 else ''}; the model has diverged, or an image breaks it"
        )


def count_alike(features: torch.Tensor) -> int:
    """How many rows of finite (N, D) features, none of them zero, are nearly those of another: of a cosine
    above 1 - ALIKE.

    Rows are compared with those beside them along one random direction, where such rows lie together.
    """
    rows = unit_rows(features).double()
    direction = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(0), dtype=rows.dtype)
    rows = rows[torch.argsort(rows @ direction.to(rows.device))]
    near = (rows[1:] - rows[:-1]).square().sum(dim=1) < 2 * ALIKE
    alike = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    alike[1:] |= near
    alike[:-1] |= near
    return int(alike.sum())


def require_scale(features: torch.Tensor, name: str = "features") -> None:
    """Raise UserError where the largest value of finite (N, D) features is too large, or too small, for their
    squared distances in float32."""
    largest = float(features.abs().max()) if features.numel() else 0.0
    if largest > LONGEST or 0 < largest < SHORTEST:
        raise UserError(
            f"{name}: the largest value is {largest:.3g}; re-ranking needs one between {SHORTEST:g} and "
            f"{LONGEST:g}: L2-normalize the features"
        )


def prepared(features: torch.Tensor, metric: str) -> torch.Tensor:
    """Finite (N, D) features as ``ranking_distance`` takes them: L2-normalized for cosine; for the Euclidean
    distance all divided by one number, and in float64 where float32 would lose the distances of short rows.

    Raises:
        UserError: lengths so different that float64 loses them, too.
    """
    features = as_features(features)
    if metric == "cosine":
        return unit_rows(features)
    if not features.numel():
        return features
    largest = features.abs().amax(dim=1)
    longest = largest.max()
    shares = largest.double() / longest.double()
    shortest = float(shares[largest > 0].min()) if longest > 0 else 1.0
    if shortest < SHORTEST_DOUBLE:
        raise UserError(
            f"features: the largest value of one row is {shortest:.3g} times that of another; their "
            "distances cannot be compared: L2-normalize the features"
        )
    if shortest < SHORTEST_SINGLE:
        features, longest = features.double(), longest.double()
    return features / _power_of_two(longest)


def unit_rows(features: torch.Tensor) -> torch.Tensor:
    """L2-normalized rows of finite (N, D) features of any scale; a row of zeros stays."""
    if not features.numel():
        return features
    # Dividing by a power of two changes no bit but those that would overflow or vanish.
    scaled = features / _power_of_two(features.abs().amax(dim=1, keepdim=True))
    return torch.nn.functional.normalize(scaled)


def _power_of_two(largest: torch.Tensor) -> torch.Tensor:
    """The greatest power of two that is not above each value; 1 for 0."""
    mantissa = torch.frexp(largest).mantissa  # 0.5 <= mantissa < 1
    return torch.where(largest > 0, largest / (2 * mantissa), torch.ones_like(largest))


def stack_features(parts: dict[str, Any]) -> tuple[torch.Tensor, Sequence[int]]:
    """Named (n, D) feature sets as one float32 tensor, on the device of the first, and their lengths.

    Raises:
        UserError: a set that is not a matrix of as many columns as the first, not finite, or of a scale at
            which float32 loses distances; it is named.
    """
    tensors: list[torch.Tensor] = []
    for name, part in parts.items():
        tensor = as_features(part, name)
        if tensors and tensor.shape[1] != tensors[0].shape[1]:
            raise UserError(f"{name} has shape {tuple(tensor.shape)}; expected (n, {tensors[0].shape[1]})")
        try:
            require_finite_features(tensor)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        require_scale(tensor, name)
        tensors.append(tensor.to(tensors[0].device if tensors else tensor.device, torch.float32))
    return torch.cat(tensors).contiguous(), [len(tensor) for tensor in tensors]
