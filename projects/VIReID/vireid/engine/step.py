"""One step of optimization, in any precision, on any device."""

import logging
from typing import Any

import torch
import torch.distributed as dist
from fastreid.solver import build_optimizer as build_toolkit_optimizer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from vireid.engine.precision import autocast_dtype
from vireid.errors import TrainingError

logger = logging.getLogger("fastreid.vireid.step")


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The toolkit's optimizer, its parameter groups of equal settings joined.

    The toolkit's contiguous buffer must stay off: since PyTorch 2, ``zero_grad`` sets its gradient to
    None and no parameter is ever updated. It also makes one group per parameter, which is slow.
    """
    optimizer, _ = build_toolkit_optimizer(cfg, model, contiguous=False)
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in optimizer.param_groups:
        key = tuple((name, str(value)) for name, value in sorted(group.items()) if name != "params")
        joined.setdefault(key, {**group, "params": []})["params"].extend(group["params"])
    optimizer.param_groups = list(joined.values())
    return optimizer


class OptimizationStep:
    """Forward, backward and update.

    Args:
        model: returns a dict of losses for a batch; maybe wrapped in DistributedDataParallel.
        data_loader: kept for the toolkit's hooks.
        optimizer: over the model's parameters.
        cfg: SOLVER.AMP and MODEL.DEVICE.
    """

    def __init__(
        self, model: nn.Module, data_loader: DataLoader, optimizer: torch.optim.Optimizer, cfg: CfgNode
    ):
        self.model, self.data_loader, self.optimizer = model, data_loader, optimizer
        self.device_type = torch.device(cfg.MODEL.DEVICE).type
        self.dtype = autocast_dtype(cfg)
        scaling = self.dtype == torch.float16
        self.grad_scaler = torch.amp.GradScaler(self.device_type) if scaling else None

    def __call__(self, batch: dict[str, Any]) -> dict[str, float]:
        """Returns the losses, each averaged over the processes.

        Raises:
            TrainingError: a loss is NaN or infinite; the weights are those before this step.
        """
        with torch.autocast(self.device_type, dtype=self.dtype, enabled=self.dtype is not None):
            losses = self.model(batch)
        values = _mean_over_processes(losses)
        if not all(torch.isfinite(torch.tensor(list(values.values())))):
            listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            raise TrainingError(f"a loss is not finite: {listed}")
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
        return values


def _mean_over_processes(losses: dict[str, Tensor]) -> dict[str, float]:
    stacked = torch.stack([loss.detach().float() for loss in losses.values()])
    if dist.is_initialized():
        dist.all_reduce(stacked)
        stacked /= dist.get_world_size()
    return dict(zip(losses, stacked.tolist()))
