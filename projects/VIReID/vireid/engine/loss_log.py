"""The losses of the steps, read from the device now and then."""

import logging
from collections import Counter

import torch
import torch.distributed as dist
from fastreid.utils.events import EventStorage
from torch import Tensor

from vireid.errors import TrainingError

logger = logging.getLogger("fastreid.vireid.losses")

ZERO_STEPS = 200  # in a row: a loss that may be 0 in some batches is not warned of


class NotFiniteError(TrainingError):
    """A loss is NaN or infinite.

    Attributes:
        steps_ago: how many steps were noted after the one that it is of.
    """

    def __init__(self, message: str, steps_ago: int) -> None:
        super().__init__(message)
        self.steps_ago = steps_ago


class LossLog:
    """Notes the losses of each step on the device. Reading them waits for the device once, whatever the
    number of steps, and gives their means over the processes."""

    def __init__(self) -> None:
        self._pending: list[dict[str, Tensor]] = []
        self._rows: list[dict[str, float]] = []
        self._zeros: Counter[str] = Counter()  # steps in a row
        self._warned: set[str] = set()

    def note(self, values: dict[str, Tensor]) -> None:
        """values: scalars of one step, the same names on every process."""
        self._pending.append({name: value.detach() for name, value in values.items()})

    def check(self) -> None:
        """Read what is noted; every process calls it after the same step.

        Raises:
            NotFiniteError: one of it is NaN or infinite.
        """
        if not self._pending:
            return
        stacked = torch.stack([value.float() for values in self._pending for value in values.values()])
        if dist.is_initialized():
            dist.all_reduce(stacked)
            stacked /= dist.get_world_size()
        numbers = iter(stacked.tolist())
        read = [{name: next(numbers) for name in values} for values in self._pending]
        self._pending = []
        for place, values in enumerate(read):
            if not all(torch.isfinite(torch.tensor(list(values.values())))):
                listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
                raise NotFiniteError(f"a loss is not finite: {listed}", len(read) - 1 - place)
            self._count_zeros(values)
        self._rows += read

    def _count_zeros(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if name.startswith("loss"):
                self._zeros[name] = 0 if value else self._zeros[name] + 1
            if self._zeros[name] == ZERO_STEPS and name not in self._warned:
                self._warned.add(name)
                logger.warning(f"{name} was 0 in {ZERO_STEPS} steps in a row: it trains nothing (said once)")

    def put_into(self, storage: EventStorage, iteration: int) -> None:
        """Put the values of each step since the last call into the storage that the writers read.

        Args:
            iteration: of the last step.

        Raises:
            NotFiniteError: see ``check``.
        """
        rows = self.take()
        for number, values in enumerate(rows, start=iteration + 1 - len(rows)):
            losses = [value for name, value in values.items() if name.startswith("loss")]
            storage.iter = number
            storage.put_scalar("total_loss", sum(losses))
            storage.put_scalars(**values)
        storage.iter = iteration

    def take(self) -> list[dict[str, float]]:
        """The values of each step since the last call.

        Raises:
            NotFiniteError: see ``check``.
        """
        self.check()
        rows, self._rows = self._rows, []
        return rows
