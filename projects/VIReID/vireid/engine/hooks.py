"""Hooks: the learning rate after each step, evaluation and checkpoints after an epoch."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from fastreid.engine import hooks
from fastreid.engine.train_loop import HookBase
from fastreid.evaluation.testing import flatten_results_dict
from fastreid.utils import comm
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from vireid.engine.checkpoints.resume import Place
from vireid.engine.extraction import NotFiniteFeaturesError
from vireid.engine.interruptions import Interrupted, StopSignals
from vireid.engine.models import share_buffers
from vireid.engine.seeds import endless_batches
from vireid.engine.step import OptimizationStep
from vireid.engine.writers import reporting_hooks
from vireid.meeting import meet


def training_hooks(trainer: Any, step: OptimizationStep) -> list[HookBase]:
    """The hooks of a training, in the order in which they are called.

    Args:
        trainer: a VIReIDTrainer.
        step: what it does with each batch.
    """
    cfg = trainer.cfg
    built: list[HookBase] = [hooks.IterationTimer(), LearningRate(trainer.scheduler)]
    if cfg.MODEL.FREEZE_LAYERS:
        built.append(FrozenLayers(step, cfg.MODEL.FREEZE_LAYERS))
    if cfg.TEST.PRECISE_BN.ENABLED and hooks.get_bn_modules(trainer.evaluated):
        batches = endless_batches(trainer.build_train_loader(cfg), 0, 0, cfg.SEED)
        built.append(PreciseBN(trainer.evaluated, batches, cfg.TEST.PRECISE_BN.NUM_ITER))
    built.append(WithinEpochCheckpoints(cfg.SOLVER.CHECKPOINT_MINUTES, trainer.signals))
    built.append(PeriodicEvaluation(cfg.TEST.EVAL_PERIOD, trainer.evaluate, trainer.signals))
    if comm.is_main_process():
        built.append(Checkpoints())
        built += reporting_hooks(cfg, trainer.max_iter)
    return built


class LearningRate(HookBase):
    """Steps the schedule after every iteration and records the rate of the largest parameter group."""

    def __init__(self, scheduler: LRScheduler):
        self.scheduler = scheduler
        groups = scheduler.optimizer.param_groups
        self.largest = max(range(len(groups)), key=lambda i: sum(p.numel() for p in groups[i]["params"]))

    def before_train(self) -> None:
        # With SOLVER.ACCUMULATE the first update comes after several steps of the schedule.
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")

    def after_step(self) -> None:
        rate = self.scheduler.get_last_lr()[self.largest]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()


class FrozenLayers(HookBase):
    """Keeps MODEL.FREEZE_LAYERS in evaluation mode for as long as the optimizer leaves their weights alone.

    Unlike the toolkit's hook it counts updates, as the toolkit's optimizer does. And the layer itself stays
    in training mode, what is in it does not: the head gives logits in training mode only.
    """

    def __init__(self, step: OptimizationStep, layers: Sequence[str]):
        self.step = step
        self.parts = [part for layer in layers for part in step.inner.get_submodule(layer).children()]
        self.frozen = False

    def before_step(self) -> None:
        if self.frozen != self.step.freezes:
            self.frozen = self.step.freezes
            for part in self.parts:
                part.train(not self.frozen)


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

    Where the evaluation fails or is stopped, the trained state is saved first, so that --resume evaluates it
    again.

    Args:
        evaluate: returns nested figures, dataset -> setting -> metric.
        signals: stop it at once.
    """

    def __init__(self, period: int, evaluate: Callable[[], dict[str, Any]], signals: StopSignals):
        self.period, self.evaluate, self.signals = period, evaluate, signals

    def after_epoch(self) -> None:
        trainer, done = self.trainer, self.trainer.epoch + 1
        last = done == trainer.max_epoch
        if self.period < 0 or not (last or (self.period and done % self.period == 0)):
            return
        try:
            with self.signals.at_once():
                results = self.evaluate()
                meet()
        except NotFiniteFeaturesError as error:
            raise trainer.checkpoints.not_finite(trainer.epoch, f"epoch {trainer.epoch}: {error}") from None
        except BaseException:
            trainer.checkpoints.save_within(trainer.epoch, trainer.iters_per_epoch, drawing=False)
            raise
        if comm.is_main_process():
            trainer.storage.put_scalars(**flatten_results_dict(results), smoothing_hint=False)


class Checkpoints(HookBase):
    """Saves what is kept of an epoch; runs after its evaluation."""

    def after_epoch(self) -> None:
        trainer, done = self.trainer, self.trainer.epoch + 1
        trainer.checkpoints.finish_epoch(Place(done), trainer.latest_metric(), done == trainer.max_epoch)


class WithinEpochCheckpoints(HookBase):
    """Saves within an epoch: ``minutes`` after the last checkpoint (0: never), and at a signal, which then
    ends the training. On several processes all of them do so after the same step.

    Raises:
        Interrupted: at a signal.
    """

    def __init__(self, minutes: float, signals: StopSignals):
        self.minutes, self.signals = minutes, signals

    def after_step(self) -> None:
        trainer = self.trainer
        if not trainer.updated:
            return  # gradients are not saved
        waited = time.monotonic() - trainer.checkpointer.saved_at
        number, due = self.signals.agreed(0 < 60 * self.minutes <= waited)
        if not (number or due):
            return
        step = trainer.iter + 1 - trainer.epoch * trainer.iters_per_epoch
        trainer.put_losses()
        trainer.checkpoints.check_finite(trainer.epoch, f"after step {step}")
        trainer.checkpoints.save_within(trainer.epoch, step)
        if number:
            raise Interrupted(
                f"stopped by {self.signals.name} after {step} of the {trainer.iters_per_epoch} iterations of "
                f"epoch {trainer.epoch}; the same command with --resume goes on from there",
                number,
            )
