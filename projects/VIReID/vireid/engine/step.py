"""One step of optimization, in any precision, on any device."""

import inspect
import logging
from contextlib import nullcontext
from typing import Any, cast

import torch
from fastreid.solver import build_optimizer as build_toolkit_optimizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from vireid.engine.loss_log import LossLog
from vireid.precision import autocast, autocast_dtype

logger = logging.getLogger("fastreid.vireid.step")

# On a GPU; Adagrad has one there in the newest PyTorch alone.
WITH_FUSED_KERNEL = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The toolkit's optimizer, its parameter groups of equal settings joined.

    The toolkit's contiguous buffer must stay off: since PyTorch 2, ``zero_grad`` sets its gradient to
    None and no parameter is ever updated. It also makes one group per parameter, which is slow. On a GPU the
    update is one fused kernel where every supported PyTorch has one there, which also spares fp16's loss
    scaling the question to the device whether a gradient overflowed.
    """
    optimizer, _ = build_toolkit_optimizer(cfg, model, contiguous=False)
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in optimizer.param_groups:
        key = tuple((name, str(value)) for name, value in sorted(group.items()) if name != "params")
        joined.setdefault(key, {**group, "params": []})["params"].extend(group["params"])
    optimizer.param_groups = list(joined.values())
    on_gpu = any(parameter.is_cuda for group in optimizer.param_groups for parameter in group["params"])
    return fused(optimizer) if on_gpu and isinstance(optimizer, WITH_FUSED_KERNEL) else optimizer


def fused(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """An optimizer of the same kind and settings whose update is one kernel."""
    one_kernel = {"foreach": False, "fused": True}
    taken = inspect.signature(type(optimizer)).parameters  # AdamW's defaults hold more than it takes
    settings = {name: value for name, value in optimizer.defaults.items() if name in taken}
    groups = [{**group, **one_kernel} for group in optimizer.param_groups]
    made = type(optimizer)(groups, **{**settings, **one_kernel})
    if isinstance(made, torch.optim.SGD):
        made.register_step_pre_hook(_begin_momentum)
    return made


def _begin_momentum(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Set the momentum of parameters that have none yet to 0.

    The fused SGD of PyTorch allocates it without a value. Where fp16 overflows in the first step, the kernel
    leaves it so, and the next update takes what the memory held. Where a parameter has its first gradient
    later than others, it raises TypeError.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            state = optimizer.state[parameter]
            if parameter.grad is not None and state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)


class WeightAverage(AveragedModel):
    """The exponential moving average of a model's weights and running statistics.

    PyTorch's own update waits for the device, which it gives the number of updates. Counters of batches are
    copied, not averaged.

    Args:
        decay: the share of the average that an update keeps.
    """

    def __init__(self, model: nn.Module, decay: float):
        super().__init__(model, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of ``model`` in; the first ones are taken as they are."""
        first = int(self.n_averaged) == 0
        averages: list[Tensor] = [*self.module.parameters(), *self.module.buffers()]
        values: list[Tensor] = [*model.parameters(), *model.buffers()]
        pairs = [(average.detach(), value.detach()) for average, value in zip(averages, values)]
        moving = [pair for pair in pairs if pair[0].is_floating_point() and not first]
        for average, value in pairs:
            if first or not average.is_floating_point():
                average.copy_(value)
        if moving:
            into, new = map(list, zip(*moving))
            torch._foreach_lerp_(into, new, 1 - self.decay)
        self.n_averaged += 1


def averaged_model(cfg: CfgNode, model: nn.Module) -> WeightAverage | None:
    """The average of a model's weights (SOLVER.EMA), if any."""
    return WeightAverage(model, cfg.SOLVER.EMA.DECAY) if cfg.SOLVER.EMA.ENABLED else None


class OptimizationStep:
    """Forward and backward, and an update after every SOLVER.ACCUMULATE of them.

    Losses, batch norm and batch transforms see one batch of SOLVER.IMS_PER_BATCH images each time; an update
    takes the mean of the gradients since the last one. An epoch ends with an update.

    Args:
        model: returns a dict of losses for a batch; maybe wrapped in DistributedDataParallel. What is in its
            ``measured`` is noted beside them.
        data_loader: kept for the toolkit's hooks.
        optimizer: over the model's parameters.
        cfg: SOLVER.AMP, SOLVER.ACCUMULATE, MODEL.DEVICE, and which layers are frozen.
        averaged: takes the weights in after each update.

    Attributes:
        log: the losses of the steps.
        updates: how many there were, those of the runs that this one goes on from among them.
        waits: whether they are read in every step, before the update: on the CPU, where that costs nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: DataLoader,
        optimizer: torch.optim.Optimizer,
        cfg: CfgNode,
        averaged: AveragedModel | None = None,
    ):
        self.model, self.data_loader, self.optimizer = model, data_loader, optimizer
        self.inner = model.module if isinstance(model, DistributedDataParallel) else model
        self.averaged = averaged
        self.accumulate = cfg.SOLVER.ACCUMULATE
        self.updates = 0
        self.frozen_updates = cfg.SOLVER.FREEZE_ITERS if cfg.MODEL.FREEZE_LAYERS else 0
        self.device_type = torch.device(cfg.MODEL.DEVICE).type
        self.dtype = autocast_dtype(cfg)
        scaling = self.dtype == torch.float16
        self.grad_scaler = torch.amp.GradScaler(self.device_type) if scaling else None
        self.log = LossLog()
        self.waits = self.device_type == "cpu"

    def group_of(self, step: int, steps: int) -> tuple[int, int]:
        """Which of how many batches of one update the batch of ``step``, of an epoch of ``steps``, is."""
        place = step % self.accumulate
        return place, min(self.accumulate, steps - step + place)

    @property
    def freezes(self) -> bool:
        """Whether the next update leaves MODEL.FREEZE_LAYERS as they are."""
        return self.updates < self.frozen_updates

    def count_updates(self, epochs: int, step: int, steps: int) -> None:
        """Count the updates before a place in a run: ``epochs`` of ``steps`` batches and ``step`` more.

        The toolkit's optimizer, which keeps MODEL.FREEZE_LAYERS as they are, has its own count.
        """
        self.updates = epochs * -(-steps // self.accumulate) + -(-step // self.accumulate)
        for _ in range(min(self.updates, self.frozen_updates)):
            self.optimizer.step()  # there are no gradients yet, and so nothing changes

    def __call__(self, batch: dict[str, Any], group: tuple[int, int] = (0, 1)) -> dict[str, Tensor]:
        """Returns this process's losses, on the device.

        Args:
            group: of ``group_of``; the last batch of a group updates the weights.

        Raises:
            NotFiniteError: where it waits, a loss is NaN or infinite; the weights are those before this step.
        """
        place, size = group
        updates = place == size - 1
        silent = isinstance(self.model, DistributedDataParallel) and not updates
        with cast(Any, self.model).no_sync() if silent else nullcontext():
            with autocast(self.device_type, self.dtype, enabled=self.dtype is not None):
                losses: dict[str, Tensor] = self.model(batch)
            self.log.note({**losses, **getattr(self.inner, "measured", {})})
            if self.waits:
                self.log.check()
            if place == 0:
                self.optimizer.zero_grad(set_to_none=True)
            total = torch.stack(list(losses.values())).sum() / size
            if self.grad_scaler is not None:
                total = self.grad_scaler.scale(total)
            total.backward()
        if updates:
            self._update()
        return {name: loss.detach() for name, loss in losses.items()}

    def _update(self) -> None:
        self.updates += 1
        if self.grad_scaler is None:
            self.optimizer.step()
        else:
            self.grad_scaler.unscale_(self.optimizer)  # so that clipping sees true gradients
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        if self.averaged is not None:
            self.averaged.update_parameters(self.inner)
