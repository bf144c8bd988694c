"""One step of optimization, in any precision, on any device."""

import logging
from typing import Any

import torch
from fastreid.solver import build_optimizer as build_toolkit_optimizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from vireid.engine.loss_log import LossLog
from vireid.precision import autocast, autocast_dtype

logger = logging.getLogger("fastreid.vireid.step")


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The toolkit's optimizer, its parameter groups of equal settings joined.

    The toolkit's contiguous buffer must stay off: since PyTorch 2, ``zero_grad`` sets its gradient to
    None and no parameter is ever updated. It also makes one group per parameter, which is slow. On a GPU the
    update is one fused kernel where the optimizer has one, which also spares fp16's loss scaling the question
    to the device whether a gradient overflowed.
    """
    optimizer, _ = build_toolkit_optimizer(cfg, model, contiguous=False)
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in optimizer.param_groups:
        key = tuple((name, str(value)) for name, value in sorted(group.items()) if name != "params")
        joined.setdefault(key, {**group, "params": []})["params"].extend(group["params"])
    optimizer.param_groups = list(joined.values())
    on_gpu = any(parameter.is_cuda for group in optimizer.param_groups for parameter in group["params"])
    if on_gpu and "fused" in optimizer.defaults:
        settings = {**optimizer.defaults, "foreach": False, "fused": True}
        groups = [{**group, "foreach": False, "fused": True} for group in optimizer.param_groups]
        return type(optimizer)(groups, **settings)
    return optimizer


class OptimizationStep:
    """Forward, backward and update.

    Args:
        model: returns a dict of losses for a batch; maybe wrapped in DistributedDataParallel. What is in its
            ``measured`` is noted beside them.
        data_loader: kept for the toolkit's hooks.
        optimizer: over the model's parameters.
        cfg: SOLVER.AMP and MODEL.DEVICE.

    Attributes:
        log: the losses of the steps.
        waits: whether they are read in every step, before the update: on the CPU, where that costs nothing.
    """

    def __init__(
        self, model: nn.Module, data_loader: DataLoader, optimizer: torch.optim.Optimizer, cfg: CfgNode
    ):
        self.model, self.data_loader, self.optimizer = model, data_loader, optimizer
        self.device_type = torch.device(cfg.MODEL.DEVICE).type
        self.dtype = autocast_dtype(cfg)
        scaling = self.dtype == torch.float16
        self.grad_scaler = torch.amp.GradScaler(self.device_type) if scaling else None
        self.log = LossLog()
        self.waits = self.device_type == "cpu"

    def __call__(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Returns this process's losses, on the device.

        Raises:
            NotFiniteError: where it waits, a loss is NaN or infinite; the weights are those before this step.
        """
        with autocast(self.device_type, self.dtype, enabled=self.dtype is not None):
            losses: dict[str, Tensor] = self.model(batch)
        inner = self.model.module if isinstance(self.model, DistributedDataParallel) else self.model
        self.log.note({**losses, **getattr(inner, "measured", {})})
        if self.waits:
            self.log.check()
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        if self.grad_scaler is None:
            total.backward()
            self.optimizer.step()
        else:
            self.grad_scaler.scale(total).backward()
            self.grad_scaler.unscale_(self.optimizer)  # so that clipping sees true gradients
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        return {name: loss.detach() for name, loss in losses.items()}
