"""Hooks: the learning rate after each step, evaluation and checkpoints after an epoch."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from fastreid.engine import hooks
from fastreid.engine.train_loop import HookBase
from fastreid.evaluation.testing import flatten_results_dict
from fastreid.utils import comm
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from vireid.engine.processes import share_buffers
from vireid.engine.reports import BEST_RESULTS, keep_as_best, last_and_best

logger = logging.getLogger("fastreid.vireid.hooks")


class LearningRate(HookBase):
    """Steps the schedule after every iteration and records the rate of the largest parameter group."""

    def __init__(self, scheduler: LRScheduler):
        self.scheduler = scheduler
        groups = scheduler.optimizer.param_groups
        self.largest = max(range(len(groups)), key=lambda i: sum(p.numel() for p in groups[i]["params"]))

    def after_step(self) -> None:
        rate = self.scheduler.get_last_lr()[self.largest]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()


class PreciseBN(hooks.PreciseBN):
    """The toolkit's estimation of batch norm's statistics after the last epoch, on batches with labels.

    The toolkit overwrites the labels, by which batch transforms choose their images.
    """

    def __init__(self, model: nn.Module, batches: Iterator[dict[str, Any]], num_iter: int):
        labelled = ({"targets": torch.zeros(1), "batch": batch} for batch in batches)
        super().__init__(_TakesBatch(model), labelled, num_iter)

    def update_stats(self) -> None:
        super().update_stats()
        share_buffers(self._model)


class _TakesBatch(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, inputs: dict[str, Any]) -> Any:
        return self.model(inputs["batch"])


class PeriodicEvaluation(HookBase):
    """Evaluates every ``period`` epochs and after the last one; 0: after the last only; -1: never.

    Args:
        evaluate: returns nested figures, dataset -> setting -> metric.
    """

    def __init__(self, period: int, evaluate: Callable[[], dict[str, Any]]):
        self.period, self.evaluate = period, evaluate

    def after_epoch(self) -> None:
        done = self.trainer.epoch + 1
        last = done == self.trainer.max_epoch
        if self.period < 0 or not (last or (self.period and done % self.period == 0)):
            return
        try:
            results = self.evaluate()
        except Exception:
            self.trainer.save_epoch()  # what is trained is not lost with the evaluation
            raise
        if comm.is_main_process():
            self.trainer.storage.put_scalars(**flatten_results_dict(results), smoothing_hint=False)
        comm.synchronize()


class Checkpoints(HookBase):
    """Saves every ``period`` epochs (0: never), after the last epoch (``model_final.pth``), and whenever
    the metric is the best so far (``model_best.pth``, ``results_best.json``); runs after the evaluation.

    The best metric so far is the trainer's ``best``.

    Args:
        best_metric: TEST.BEST_METRIC, which model_best.pth records: it was chosen on the test set.
        extras: what else a checkpoint records.
    """

    def __init__(self, period: int, best_metric: str, extras: dict[str, Any]):
        self.period, self.best_metric, self.extras = period, best_metric, extras

    def before_train(self) -> None:
        if self.trainer.best is None:  # one of a run that was deleted
            (Path(self.trainer.checkpointer.save_dir) / BEST_RESULTS).unlink(missing_ok=True)

    def after_epoch(self) -> None:
        trainer = self.trainer
        folder = Path(trainer.checkpointer.save_dir)
        done = trainer.epoch + 1
        metric = trainer.latest_metric()
        improved = metric is not None and (trainer.best is None or metric > trainer.best)
        if improved:
            trainer.best = metric
        state = {"epoch": trainer.epoch, "best_metric": trainer.best, "metric": metric, **self.extras}
        if improved:
            trainer.checkpointer.save("model_best", tag=False, selected_by=self.best_metric, **state)
            keep_as_best(folder, self.best_metric)
        if done == trainer.max_epoch:
            trainer.checkpointer.save("model_final", **state)
            if said := last_and_best(folder, self.best_metric, metric, trainer.best):
                logger.info(said)
        elif self.period > 0 and done % self.period == 0:
            trainer.checkpointer.save(f"model_{trainer.epoch:04d}", **state)
