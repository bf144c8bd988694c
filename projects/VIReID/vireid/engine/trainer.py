"""The trainer: the toolkit's DefaultTrainer with an epoch that is one pass of the sampler."""

import logging
import os
from functools import partial
from typing import Any

from fastreid.engine import DefaultTrainer
from fastreid.engine.train_loop import HookBase, TrainerBase
from fastreid.utils import comm
from fastreid.utils.events import EventStorage
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import ImageLoader, build_train_loader
from vireid.engine import models
from vireid.engine.agreement import compare_lists
from vireid.engine.checkpoints.checkpoint import SCALER, AtomicCheckpointer, check_tags
from vireid.engine.checkpoints.resume import Place, newest_state, refuse_other_run, restore_generators
from vireid.engine.checkpoints.run_lock import lock_run, unlock_folder
from vireid.engine.checkpoints.saving import RunCheckpoints, run_record
from vireid.engine.checks import check_run
from vireid.engine.evaluation import evaluate_model
from vireid.engine.evaluation_sets import figure_record, read_evaluation_sets
from vireid.engine.hooks import training_hooks
from vireid.engine.interruptions import StopSignals, end_with_launcher, keep_working, machine_errors
from vireid.engine.loss_log import NotFiniteError
from vireid.engine.rehearsal import rehearse_evaluation
from vireid.engine.reports import best_metric, listed
from vireid.engine.schedule import build_schedule, fast_forward
from vireid.engine.seeds import endless_batches, seed_everything
from vireid.engine.step import OptimizationStep, averaged_model, build_optimizer
from vireid.engine.writers import LOG_PERIOD
from vireid.meeting import meet

logger = logging.getLogger("fastreid.vireid.trainer")


class VIReIDTrainer(DefaultTrainer):
    """Trains and evaluates a model for visible-infrared ReID.

    Args:
        cfg: as ``vireid.engine.setup`` returns it.
    """

    def __init__(self, cfg: CfgNode):
        # Not DefaultTrainer's: it needs CUDA, counts an epoch in images and trains on a buffer that
        # PyTorch 2 no longer updates.
        TrainerBase.__init__(self)
        os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)  # auto_scale_hyperparams writes config.yaml there
        lock_run(cfg.OUTPUT_DIR)
        data_loader = self.build_train_loader(cfg)
        train_set = data_loader.dataset
        compare_lists(cfg.DATASETS.NAMES, train_set.datasets)
        self.test_sets = read_evaluation_sets(cfg)
        check_run(cfg, train_set, self.test_sets)
        if comm.is_main_process():
            rehearse_evaluation(cfg, self.test_sets)
        meet()
        cfg = self.auto_scale_hyperparams(models.uncounted(cfg), train_set.num_classes)
        seed_everything(cfg.SEED)  # the same weights whatever was drawn before, on every process
        model = self.build_model(cfg)
        optimizer = build_optimizer(cfg, model)
        averaged = averaged_model(cfg, model)
        self.evaluated = model if averaged is None else averaged.module
        self.checkpointer = AtomicCheckpointer(
            model, cfg.OUTPUT_DIR, save_to_disk=comm.is_main_process(), optimizer=optimizer, averaged=averaged
        )
        self.checkpoints = RunCheckpoints(
            self.checkpointer, run_record(cfg, train_set), figure_record(cfg, self.test_sets)
        )
        models.compile_backbone(cfg, model)
        model = models.distributed(model)
        model.train()
        self._trainer = OptimizationStep(model, data_loader, optimizer, cfg, averaged)
        self.iters_per_epoch = len(data_loader)
        self.scheduler = build_schedule(cfg, optimizer, self.iters_per_epoch)
        if self._trainer.grad_scaler is not None:
            self.checkpointer.checkpointables[SCALER] = self._trainer.grad_scaler
        self.start = Place(0)
        self.max_epoch = cfg.SOLVER.MAX_EPOCH
        self.max_iter = self.max_epoch * self.iters_per_epoch
        self.cfg = cfg
        self.signals = StopSignals()
        self._generators: list[dict[str, Any]] = []  # of the place to start from, where it is within an epoch
        self._results: tuple[int, dict[str, Any]] | None = None

    def resume_or_load(self, resume: bool = True, force: bool = False) -> None:
        """Go on from OUTPUT_DIR's newest checkpoint if ``resume`` and there is one; else start from
        MODEL.WEIGHTS, or from scratch.

        Args:
            force: whether a config that is not the run's is taken nevertheless.

        Raises:
            ConfigError: OUTPUT_DIR holds another run; or the config has changed what the state depends on.
            CheckpointError: it cannot be read or does not fit, or is of another RegDB split.
        """
        folder, datasets = self.cfg.OUTPUT_DIR, self.data_loader.dataset.datasets
        newest = newest_state(folder, self.checkpoints.record, datasets, force=force) if resume else None
        if newest is None:
            refuse_other_run(folder)
        if comm.is_main_process():
            self.checkpoints.take_up_best()
        if newest is not None:
            (place, path), content = newest
            self._restore(place, self.checkpointer.restore(content, str(path)))
            return
        if resume:
            logger.info(f"--resume: no checkpoint in {folder}; starting from the beginning")
        self.checkpointer.strict = self.cfg.MODEL.WEIGHTS_STRICT
        rest = self.checkpointer.load(self.cfg.MODEL.WEIGHTS, checkpointables=[])
        check_tags(rest, datasets, self.cfg.MODEL.WEIGHTS)

    def _restore(self, place: Place, content: dict[str, Any]) -> None:
        self.start = place._replace(step=min(place.step, self.iters_per_epoch))
        self._generators = content.get("generators") or []
        fast_forward(self.scheduler, place.epoch * self.iters_per_epoch + self.start.step)
        self._trainer.count_updates(*self.start, self.iters_per_epoch)
        within = f"iteration {place.step} of " if place.step else "the beginning of "
        best = "none yet" if self.checkpoints.best is None else f"{self.checkpoints.best:.2f}"
        logger.info(f"Resuming from {within}epoch {place.epoch}; best {self.cfg.TEST.BEST_METRIC} {best}")

    def build_hooks(self) -> list[HookBase]:
        """See ``vireid.engine.hooks.training_hooks``."""
        return training_hooks(self, self._trainer)

    def train(self) -> dict[str, Any]:
        """Train from ``start`` on; a run that is already finished is evaluated only, if at all.

        Returns:
            dataset -> setting -> metric, in percent, of the last evaluation.

        Raises:
            TrainingError: a loss or a weight is NaN or infinite; checkpoints are those of the epochs before.
            MachineError: a full disk, a folder that has vanished, a data worker that was killed.
            Interrupted: SIGINT or SIGTERM; a checkpoint is saved.
        """
        try:
            with end_with_launcher(), self.signals, machine_errors(self.cfg.OUTPUT_DIR):
                finished = self.start.epoch >= self.max_epoch
                if finished:
                    self._evaluate_finished()
                if comm.is_main_process() and (finished or not self.start.step):
                    self.checkpoints.finish_epoch(self.start, self.latest_metric(), finished, resumed=True)
                if not finished:
                    self._train_epochs()
        finally:
            unlock_folder(self.cfg.OUTPUT_DIR)
        return self._results[1] if self._results else {}

    def _evaluate_finished(self) -> None:
        evaluates, step = self.cfg.TEST.EVAL_PERIOD >= 0, self.start.step
        done = f"All {self.max_epoch} epochs (SOLVER.MAX_EPOCH) are trained already"
        done += f", and {step} iterations of epoch {self.start.epoch}" if step else ""
        logger.info(f"{done}; {'evaluating' if evaluates else 'TEST.EVAL_PERIOD -1 evaluates never'}")
        self.epoch = self.start.epoch if step else self.start.epoch - 1
        if evaluates:
            with self.signals.at_once():
                self.evaluate()

    def _train_epochs(self) -> None:
        self.register_hooks(self.build_hooks())
        self.iter = self.start_iter = self.start.epoch * self.iters_per_epoch + self.start.step
        logger.info(
            f"Training epochs {self.start.epoch} to {self.max_epoch - 1} of {self.max_epoch}, "
            f"{self.iters_per_epoch} iterations of {self.cfg.SOLVER.IMS_PER_BATCH} images each"
        )
        self.data_loader.worker_init_fn = keep_working
        step, first, generators = self.start.step, self.start, self._generators
        if step == self.iters_per_epoch:  # what is left of the epoch is its evaluation
            first, generators = Place(self.start.epoch + 1), []
        begin = partial(restore_generators, generators) if generators else None
        batches = endless_batches(self.data_loader, *first, self.cfg.SEED + 1, begin)
        with EventStorage(max(0, self.start_iter - 1)) as self.storage:
            try:
                self.before_train()
                for epoch in range(self.start.epoch, self.max_epoch):
                    self.epoch = epoch
                    self.before_epoch()
                    for _ in range(step, self.iters_per_epoch):
                        self.before_step()
                        self.run_step(next(batches))
                        self.after_step()
                        self.iter += 1
                    step = 0
                    for model in self.checkpointer.models:
                        models.share_buffers(model)
                    self.checkpoints.check_finite(epoch, "after its last iteration")
                    self.after_epoch()
            finally:
                self.data_loader.close()  # its workers would outlive a SIGTERM at the end of the process
                self.after_train()
                replaced = self.data_loader.dataset.num_unreadable
                if replaced:
                    logger.warning(f"{replaced} training images could not be read and were replaced")

    def run_step(self, batch: dict[str, Any]) -> None:
        group = self._trainer.group_of(self.iter % self.iters_per_epoch, self.iters_per_epoch)
        self.updated = group[0] == group[1] - 1
        try:
            with models.compiler_errors():
                self._trainer(batch, group)
            done = self.iter + 1
            if self._trainer.waits or done % LOG_PERIOD == 0 or done % self.iters_per_epoch == 0:
                self.put_losses()
        except NotFiniteError as error:
            iteration = self.iter - error.steps_ago
            where = f"iteration {iteration} (epoch {iteration // self.iters_per_epoch})"
            raise self.checkpoints.failed(f"{where}: {error}") from None

    def put_losses(self) -> None:
        """Read the losses since the last time, for the writers."""
        self._trainer.log.put_into(self.storage, self.iter)

    def evaluate(self) -> dict[str, Any]:
        """Evaluate on DATASETS.TESTS and write results.json.

        Re-ranking is done after the last epoch, and before where TEST.BEST_METRIC needs it.
        """
        reranked = any(" + " in figure for figure in listed(self.cfg.TEST.BEST_METRIC))
        rerank = reranked or self.epoch + 1 >= self.max_epoch
        about = {"test_sets": self.test_sets, "rerank": rerank, "which": "last", "epoch": self.epoch}
        results = self.test(self.cfg, self.evaluated, **about)
        self._results = (self.epoch, results)
        return results

    def latest_metric(self) -> float | None:
        """TEST.BEST_METRIC of this epoch's evaluation; None where there was none."""
        if self._results is None or self._results[0] != self.epoch or not self._results[1]:
            return None
        return best_metric(self._results[1], self.cfg.TEST.BEST_METRIC)

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        """MODEL.META_ARCHITECTURE on MODEL.DEVICE."""
        return models.build_model(cfg)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> ImageLoader:
        """The loader of DATASETS.NAMES."""
        return build_train_loader(cfg)

    @classmethod
    def test(cls, cfg: CfgNode, model: nn.Module, **about: Any) -> dict[str, Any]:
        """See ``vireid.engine.evaluation.evaluate_model``."""
        return evaluate_model(cfg, model, **about)
