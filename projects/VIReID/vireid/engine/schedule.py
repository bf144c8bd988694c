"""The learning rate as a function of the iteration alone: nothing to restore on resume but a count.

The toolkit's schedule counts SOLVER.STEPS from the end of warm-up; here they are epochs of training.
"""

import math
from bisect import bisect_right
from collections.abc import Callable

import torch
from torch.optim.lr_scheduler import LambdaLR
from yacs.config import CfgNode


def learning_rate_factor(cfg: CfgNode, iters_per_epoch: int, base_lr: float) -> Callable[[int], float]:
    """iteration (from 0) -> what ``base_lr`` is multiplied by."""
    solver = cfg.SOLVER
    warmup = solver.WARMUP_EPOCHS * iters_per_epoch or solver.WARMUP_ITERS
    start = max(math.ceil(warmup / iters_per_epoch), solver.DELAY_EPOCHS)
    floor = solver.ETA_MIN_LR / base_lr if base_lr else 0.0

    def factor(iteration: int) -> float:
        epoch = iteration // iters_per_epoch
        if solver.SCHED == "MultiStepLR":
            decay = solver.GAMMA ** bisect_right(sorted(solver.STEPS), epoch)
        else:
            done = min(max(epoch - start, 0) / max(solver.MAX_EPOCH - start, 1), 1)
            decay = floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2
        if iteration >= warmup:
            return decay
        share, first = iteration / warmup, solver.WARMUP_FACTOR
        if solver.WARMUP_METHOD == "constant":
            return decay * first
        if solver.WARMUP_METHOD == "exp":
            return decay * first ** (1 - share)
        return decay * (first + (1 - first) * share)

    return factor


def build_schedule(cfg: CfgNode, optimizer: torch.optim.Optimizer, iters_per_epoch: int) -> LambdaLR:
    """A scheduler that is stepped after every iteration."""
    factors = [learning_rate_factor(cfg, iters_per_epoch, group["lr"]) for group in optimizer.param_groups]
    return LambdaLR(optimizer, factors)


def fast_forward(schedule: LambdaLR, iteration: int) -> None:
    """Set a schedule, and its optimizer's rates, to where they are before ``iteration``: on resume, from the
    config alone, so that a changed rate or epoch length counts."""
    schedule.last_epoch = iteration
    for group, base_lr, factor in zip(
        schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
    ):
        group["lr"] = base_lr * factor(iteration)
    schedule._last_lr = [group["lr"] for group in schedule.optimizer.param_groups]
