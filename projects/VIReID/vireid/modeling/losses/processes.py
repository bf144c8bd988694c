"""Losses over the batch of all processes.

DistributedDataParallel averages the gradients of W processes, and the result is to be the gradient of one
process on the joined batch:

- A loss L that compares images is computed by every process on the joined batch. Process r has the whole
  dL/df_r of its own features f_r, and the gradient of one process is the sum over r of (df_r/dw)' dL/df_r; so
  dL/df_r is multiplied by W before DDP's mean. Parameters of the loss itself have the same gradient
  everywhere, and their mean is right as it is. Nothing is exchanged on the way back.
- A mean over n_r things of process r becomes the mean over all n of them with the weight W n_r / n: the mean
  over the processes, of values and of gradients, is then (1 / n) sum over r of n_r mean_r.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from fastreid.utils import comm
from torch import Tensor


class LossInput(NamedTuple):
    """What a loss may ask for: its shape and meaning, the axis of its images (or of other things, such as
    pairs, that a process has a number of), and whether it holds positions in the batch."""

    meaning: str
    axis: int = 0
    positions: bool = False


def join_processes(
    inputs: Mapping[str, Any], names: Iterable[str], kinds: Mapping[str, LossInput]
) -> dict[str, Any]:
    """Inputs of the joined batch, as one process would have them: ordered by modality, within a modality by
    process. What has no entry an image is put together by process.

    Args:
        inputs: of this process; ``sizes``, its images of each modality, is among them.
        names: of the inputs to join, the same on every process; plain values are left as they are.
        kinds: by name; an input without one has its images along its first axis.
    """
    sizes: tuple[int, ...] = tuple(inputs["sizes"])
    tensors = {name: inputs[name] for name in sorted(names) if isinstance(inputs[name], Tensor)}
    kind_of = {name: kinds.get(name, LossInput("")) for name in tensors}
    lengths = [tensor.shape[kind_of[name].axis] for name, tensor in tensors.items()]
    table = gather_numbers([*sizes, *lengths])
    sizes_of = [row[: len(sizes)] for row in table]
    joined = {name: inputs[name] for name in names if name not in tensors}
    joined["sizes"] = tuple(map(sum, zip(*sizes_of)))
    for place, (name, tensor) in enumerate(tensors.items(), start=len(sizes)):
        axis, positions = kind_of[name].axis, kind_of[name].positions
        shares = _gather(tensor, axis, [row[place] for row in table])
        if positions:
            shares = [_moved(share, sizes_of, rank) for rank, share in enumerate(shares)]
        elif all(row[place] == sum(own) for row, own in zip(table, sizes_of)):
            parts = [share.split(own, axis) for share, own in zip(shares, sizes_of)]
            shares = [part for modality in zip(*parts) for part in modality]
        joined[name] = torch.cat(shares, axis)
    return joined


def weights_of_means(counts: Sequence[int | Tensor], device: torch.device) -> Tensor:
    """By what the means of this process are multiplied, so that their mean over the processes is that over
    all things.

    Args:
        counts: how many things of this process each mean is over; numbers, or scalars on ``device``.

    Returns:
        (len(counts),) float32 on ``device``.
    """
    own = torch.stack(
        [
            count.float() if isinstance(count, Tensor) else torch.full((), float(count), device=device)
            for count in counts
        ]
    )
    total = own.clone()
    dist.all_reduce(total)
    return comm.get_world_size() * own / total.clamp(min=1)


class _GradientTimesProcesses(torch.autograd.Function):
    """The identity, whose gradient is multiplied by the number of processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * comm.get_world_size()


def _gather(tensor: Tensor, axis: int, lengths: Sequence[int]) -> list[Tensor]:
    """Each process's tensor; this one's with its gradient. Lengths along ``axis`` may differ."""
    leading = tensor.detach().movedim(axis, 0).contiguous()
    padding = leading.new_zeros(max(lengths) - len(leading), *leading.shape[1:])
    padded = torch.cat([leading, padding])
    received = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(received, padded)
    shares = [share[:length].movedim(0, axis) for share, length in zip(received, lengths)]
    if tensor.requires_grad:
        shares[comm.get_rank()] = _GradientTimesProcesses.apply(tensor)
    return shares


def gather_numbers(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers of each process. They go from host to host, so that no device is waited for."""
    own = torch.tensor(numbers)
    rows = [torch.empty_like(own) for _ in range(comm.get_world_size())]
    dist.all_gather(rows, own, group=comm._get_global_gloo_group())
    return [row.tolist() for row in rows]


def _moved(positions: Tensor, sizes_of: Sequence[Sequence[int]], rank: int) -> Tensor:
    """Positions in the batch of process ``rank`` as positions in the joined batch."""
    moved, first = positions, 0
    before = 0  # images of the joined batch of the modalities before
    for modality, own in enumerate(sizes_of[rank]):
        shift = before + sum(sizes[modality] for sizes in sizes_of[:rank]) - first
        moved = torch.where(positions >= first, positions + shift, moved)
        first += own
        before += sum(sizes[modality] for sizes in sizes_of)
    return moved
