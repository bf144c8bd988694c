"""Several processes that share the work, as torchrun starts them: the first one keeps what all have made."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


class Processes:
    """This process among all: alone, or one of those that torchrun has started.

    Attributes:
        rank: the number of this process.
        count: of all processes.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    def share(self, items: Sequence[Item], at_once: int) -> list[Item]:
        """Of each ``count * at_once`` items, this process's ``at_once``."""
        step = self.count * at_once
        starts = range(self.rank * at_once, len(items), step)
        return [item for start in starts for item in items[start : start + at_once]]

    def broadcast(self, value: Any) -> Any:
        """What the first process gives, in all."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """What all processes give, in the first one; in the others nothing."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values = [None] * self.count if self.rank == 0 else None
        dist.gather_object(value, values)
        return values or []


def process_rank() -> int:
    """The number of this process among those of torchrun; 0 without it."""
    if "torch.distributed" in sys.modules:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            return dist.get_rank()
    return int(os.environ.get("RANK", 0))


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes of torchrun, which exchange their results by gloo; alone without it."""
    import torch.distributed as dist

    joined = dist.is_available() and dist.is_initialized()
    if not joined and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield Processes()
        return
    if not joined:
        dist.init_process_group("gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        if not joined:
            dist.destroy_process_group()
