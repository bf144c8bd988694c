"""Differentiable ranks (Blondel et al., Fast Differentiable Sorting and Ranking, ICML 2020)."""

import numpy as np
import torch
from torch import Tensor

from vireid.numba_loops import inner
from vireid.precision import autocast

MOST_COLUMNS = 1024  # of the min-max formula
MOST_ENTRIES = 2**24  # of its tables at a time, in float64: 128 MiB each


def soft_rank(values: Tensor, regularization_strength: float = 0.5) -> Tensor:
    """Ranks of each row's values, ascending, with a quadratic regularization.

    The least-squares fit behind it is exact. On the CPU it is found by pool-adjacent-violators, in time and
    memory linear in the row after the sort; elsewhere by the min-max formula, in memory quadratic in the row
    but without waiting for the device, or, for rows of more than MOST_COLUMNS, on the CPU all the same.
    Within autocast, as outside, nothing is rounded to less than float32.

    Args:
        values: (N, M) float.
        regularization_strength: above 0. Towards 0 the result is the hard rank; the greater it is, the
            more linear in ``values``.

    Returns:
        (N, M) ranks, 1 for the smallest, float32 or the dtype of ``values`` if that is wider. Their
        gradient is that of the fit: the incoming one less its mean over each block.

    Raises:
        ValueError: not a matrix, or a strength that is not positive.

    Source: MCJA uses it in the CMR loss; equations 5 and 6 of Blondel et al.
    """
    if values.ndim != 2:
        raise ValueError(f"values have shape {tuple(values.shape)}; expected (rows, columns)")
    if not regularization_strength > 0:
        raise ValueError(f"regularization_strength is {regularization_strength}; expected a number above 0")
    with autocast(values.device.type, enabled=False):
        # float64: a small strength makes numbers so large that float32 loses the ranks.
        scaled, order = (values.double() / regularization_strength).sort(dim=1, descending=True)
        size = values.shape[1]
        hard_ranks = torch.arange(size, 0, -1, dtype=scaled.dtype, device=values.device)
        ranks = scaled - block_means(scaled - hard_ranks)
        ranks = torch.empty_like(ranks).scatter(1, order, ranks)
        return ranks.to(torch.promote_types(values.dtype, torch.float32))


def block_means(targets: Tensor) -> Tensor:
    """Non-increasing least-squares fit of each row: the means of its blocks.

    Args:
        targets: (N, M) float64.

    Returns:
        (N, M), differentiable any number of times: within a block of equal values it is their mean.
    """
    if targets.is_cpu or targets.shape[1] > MOST_COLUMNS:
        block = violating_blocks(targets.detach())
    else:
        block = min_max_blocks(targets.detach())
    empty = torch.zeros_like(targets)
    sizes = empty.scatter_add(1, block, torch.ones_like(targets))
    means = empty.scatter_add(1, block, targets) / sizes.clamp(min=1)
    return means.gather(1, block)


def violating_blocks(targets: Tensor) -> Tensor:
    """(N, M) float64 -> (N, M) int64: where the block of each place starts, by pool-adjacent-violators."""
    starts = np.empty(targets.shape, dtype=np.int64)
    _find_blocks(targets.cpu().contiguous().numpy(), starts)
    return torch.from_numpy(starts).to(targets.device)


def min_max_blocks(targets: Tensor) -> Tensor:
    """The same without a choice on the host: the fit is v_i = min over j <= i of max over k >= i of the mean
    of y_j .. y_k, and a block starts where it falls by more than rounding.

    Source: Robertson, Wright and Dykstra, Order Restricted Statistical Inference, 1988, section 1.4.
    """
    size = targets.shape[1]
    if targets.numel() == 0:
        return torch.zeros_like(targets, dtype=torch.long)
    return torch.cat([_min_max_blocks(part) for part in targets.split(max(1, MOST_ENTRIES // size**2))])


def _min_max_blocks(targets: Tensor) -> Tensor:
    size = targets.shape[1]
    place = torch.arange(size, device=targets.device)
    before = place[:, None] <= place  # [j, k]: j <= k
    sums = targets.cumsum(1)
    lengths = (place - place[:, None] + 1).clamp(min=1)
    means = (sums[:, None, :] - (sums - targets)[:, :, None]) / lengths
    means = means.masked_fill(~before, -torch.inf)
    largest = means.flip(2).cummax(2).values.flip(2)  # [j, i]: over k >= i
    fit = largest.masked_fill(~before, torch.inf).amin(1)
    rounding = 8 * size * torch.finfo(targets.dtype).eps * targets.abs().amax(1, keepdim=True)
    falls = fit[:, 1:] < fit[:, :-1] - rounding
    first = torch.zeros_like(targets[:, :1], dtype=torch.bool)
    return torch.where(torch.cat([first, falls], 1), place, torch.zeros_like(place)).cummax(1).values


@inner
def _find_blocks(targets, starts):
    """Write for each place of ``targets`` where its block of the non-increasing fit starts; neighbours
    of equal means are one block."""
    rows, size = targets.shape
    first = np.empty(size, dtype=np.int64)
    total = np.empty(size, dtype=np.float64)
    for row in range(rows):
        blocks = 0
        for i in range(size):
            start, pooled = i, targets[row, i]
            while blocks > 0 and (
                total[blocks - 1] * (i + 1 - start) <= pooled * (start - first[blocks - 1])
            ):
                blocks -= 1
                start = first[blocks]
                pooled += total[blocks]
            first[blocks], total[blocks] = start, pooled
            blocks += 1
        end = size
        for block in range(blocks - 1, -1, -1):
            starts[row, first[block] : end] = first[block]
            end = first[block]
