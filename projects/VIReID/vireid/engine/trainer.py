"""The trainer: the toolkit's DefaultTrainer with an epoch that is one pass of the sampler."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from fastreid.engine import DefaultTrainer, hooks
from fastreid.engine.train_loop import TrainerBase
from fastreid.utils import comm
from fastreid.utils.events import EventStorage
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import ImageLoader, build_dataset, build_train_loader
from vireid.engine.checkpoint import AtomicCheckpointer, check_tags, checkpoint_tag
from vireid.engine.checks import check_run
from vireid.engine.evaluation import evaluate_model
from vireid.engine.hooks import Checkpoints, LearningRate, PeriodicEvaluation, PreciseBN
from vireid.engine.loss_log import NotFiniteError
from vireid.engine.models import build_model
from vireid.engine.processes import distributed, share_buffers
from vireid.engine.reports import best_metric, listed
from vireid.engine.schedule import build_schedule, fast_forward
from vireid.engine.seeds import endless_batches, seed_everything
from vireid.engine.step import OptimizationStep, build_optimizer
from vireid.engine.writers import LOG_PERIOD, reporting_hooks
from vireid.errors import CheckpointError, ConfigError, TrainingError

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
        data_loader = self.build_train_loader(cfg)
        train_set = data_loader.dataset
        check_run(cfg, train_set, {name: build_dataset(cfg, name) for name in cfg.DATASETS.TESTS})
        cfg = self.auto_scale_hyperparams(cfg, train_set.num_classes)
        seed_everything(cfg.SEED)  # the same weights whatever was drawn before, on every process
        model = self.build_model(cfg)
        optimizer = build_optimizer(cfg, model)
        self.checkpointer = AtomicCheckpointer(
            model, cfg.OUTPUT_DIR, save_to_disk=comm.is_main_process(), optimizer=optimizer
        )
        model = distributed(model)
        model.train()
        self._trainer = OptimizationStep(model, data_loader, optimizer, cfg)
        self.iters_per_epoch = len(data_loader)
        self.scheduler = build_schedule(cfg, optimizer, self.iters_per_epoch)
        if self._trainer.grad_scaler is not None:
            self.checkpointer.checkpointables["grad_scaler"] = self._trainer.grad_scaler
        self.start_epoch = 0
        self.max_epoch = cfg.SOLVER.MAX_EPOCH
        self.max_iter = self.max_epoch * self.iters_per_epoch
        self.cfg = cfg
        self.best: float | None = None
        self._results: tuple[int, dict[str, Any]] | None = None

    @property
    def last_results(self) -> dict[str, Any]:
        """dataset -> setting -> metric of the last evaluation; empty before the first."""
        return self._results[1] if self._results else {}

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from OUTPUT_DIR's last checkpoint if ``resume`` and there is one; else start from
        MODEL.WEIGHTS, or from scratch.

        Raises:
            ConfigError: OUTPUT_DIR holds another run.
            CheckpointError: it cannot be read or does not fit, or is of another RegDB split.
        """
        self.checkpointer.strict = self.cfg.MODEL.WEIGHTS_STRICT
        seen = {name or "nothing" for name in comm.all_gather(self.checkpointer.get_checkpoint_file())}
        if resume and len(seen) > 1:
            raise ConfigError(
                f"--resume: the processes find {' and '.join(sorted(seen))} in"
                f" OUTPUT_DIR {self.cfg.OUTPUT_DIR}; share the folder among the machines, or copy it to all"
            )
        if resume and self.checkpointer.has_checkpoint():
            self.checkpointer.strict = True
            rest = self.checkpointer.load(self.checkpointer.get_checkpoint_file())
            check_tags(rest, self.data_loader.dataset.datasets, self.checkpointer.get_checkpoint_file())
            if "epoch" not in rest:
                raise CheckpointError(
                    f"{self.checkpointer.get_checkpoint_file()} records no epoch to go on from; to start "
                    "from its weights, set MODEL.WEIGHTS to it and leave out --resume"
                )
            self.start_epoch = int(rest["epoch"]) + 1
            self.best = rest.get("best_metric")
            fast_forward(self.scheduler, self.start_epoch * self.iters_per_epoch)
            best = "none yet" if self.best is None else f"{self.best:.2f}"
            logger.info(f"Resuming after epoch {rest['epoch']}; best {self.cfg.TEST.BEST_METRIC} {best}")
            return
        held = sorted(path.name for path in Path(self.cfg.OUTPUT_DIR).glob("model_*.pth"))
        if held:
            raise ConfigError(
                f"OUTPUT_DIR {self.cfg.OUTPUT_DIR} holds {', '.join(held[:3])} of another run, which would "
                "be lost: --resume goes on with it (from the file that last_checkpoint names); or choose "
                "another OUTPUT_DIR, or delete that one"
            )
        if resume:
            logger.info(f"--resume: no checkpoint in {self.cfg.OUTPUT_DIR}; starting from the beginning")
        rest = self.checkpointer.load(self.cfg.MODEL.WEIGHTS, checkpointables=[])
        check_tags(rest, self.data_loader.dataset.datasets, self.cfg.MODEL.WEIGHTS)

    def build_hooks(self) -> list[hooks.HookBase]:
        cfg = self.cfg
        built: list[hooks.HookBase] = [hooks.IterationTimer(), LearningRate(self.scheduler)]
        if cfg.MODEL.FREEZE_LAYERS and cfg.SOLVER.FREEZE_ITERS > 0:
            built.append(hooks.LayerFreeze(self.model, cfg.MODEL.FREEZE_LAYERS, cfg.SOLVER.FREEZE_ITERS))
        if cfg.TEST.PRECISE_BN.ENABLED and hooks.get_bn_modules(self.model):
            batches = endless_batches(self.build_train_loader(cfg), 0, cfg.SEED)
            built.append(PreciseBN(self.model, batches, cfg.TEST.PRECISE_BN.NUM_ITER))
        built.append(PeriodicEvaluation(cfg.TEST.EVAL_PERIOD, self.evaluate))
        if comm.is_main_process():
            extras = self.checkpoint_extras()
            built.append(Checkpoints(cfg.SOLVER.CHECKPOINT_PERIOD, cfg.TEST.BEST_METRIC, extras))
            built += reporting_hooks(cfg, self.max_iter)
        return built

    def checkpoint_extras(self) -> dict[str, Any]:
        """What every checkpoint of this run records."""
        tags = {
            type(dataset).__name__: checkpoint_tag(dataset) for dataset in self.data_loader.dataset.datasets
        }
        return {"num_classes": self.cfg.MODEL.HEADS.NUM_CLASSES, "datasets": tags, "seed": self.cfg.SEED}

    def save_epoch(self) -> None:
        """Save this epoch's model, to be resumed from."""
        state = {"epoch": self.epoch, "best_metric": self.best, **self.checkpoint_extras()}
        self.checkpointer.save(f"model_{self.epoch:04d}", **state)

    def train(self) -> dict[str, Any]:
        """Train from ``start_epoch`` on; a run that is already finished is evaluated only.

        Returns:
            dataset -> setting -> metric, in percent, of the last evaluation.

        Raises:
            TrainingError: a loss or a weight is NaN or infinite; checkpoints are those of the epochs before.
        """
        if self.start_epoch >= self.max_epoch:
            logger.info(f"All {self.max_epoch} epochs (SOLVER.MAX_EPOCH) are trained already; evaluating")
            self.epoch = self.start_epoch - 1
            return self.evaluate()
        self.register_hooks(self.build_hooks())
        self.iter = self.start_iter = self.start_epoch * self.iters_per_epoch
        logger.info(
            f"Training epochs {self.start_epoch} to {self.max_epoch - 1} of {self.max_epoch}, "
            f"{self.iters_per_epoch} iterations of {self.cfg.SOLVER.IMS_PER_BATCH} images each"
        )
        batches = endless_batches(self.data_loader, self.start_epoch, self.cfg.SEED + 1)
        with EventStorage(self.start_iter) as self.storage:
            try:
                self.before_train()
                for epoch in range(self.start_epoch, self.max_epoch):
                    self.epoch = epoch
                    self.before_epoch()
                    for _ in range(self.iters_per_epoch):
                        self.before_step()
                        self.run_step(next(batches))
                        self.after_step()
                        self.iter += 1
                    share_buffers(self.model)
                    self.check_weights()
                    self.after_epoch()
            finally:
                self.after_train()
                replaced = self.data_loader.dataset.num_unreadable
                if replaced:
                    logger.warning(f"{replaced} training images could not be read and were replaced")
        return self.last_results

    def run_step(self, batch: dict[str, Any]) -> None:
        try:
            self._trainer(batch)
            done = self.iter + 1
            if self._trainer.waits or done % LOG_PERIOD == 0 or done % self.iters_per_epoch == 0:
                self.put_losses()
        except NotFiniteError as error:
            iteration = self.iter - error.steps_ago
            where = f"iteration {iteration} (epoch {iteration // self.iters_per_epoch})"
            raise self.failed(f"{where}: {error}") from None

    def put_losses(self) -> None:
        """Read the losses since the last time, and put them into the storage that the writers read."""
        rows = self._trainer.log.take()
        for iteration, values in enumerate(rows, start=self.iter + 1 - len(rows)):
            losses = {name: value for name, value in values.items() if name.startswith("loss")}
            self.storage.iter = iteration
            self.storage.put_scalar("total_loss", sum(losses.values()))
            self.storage.put_scalars(**values)
        self.storage.iter = self.iter

    def check_weights(self) -> None:
        """Refuse weights that are not finite: after the last update before an evaluation or a checkpoint
        there is no loss that would tell."""
        tensors = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        if not bool(torch.stack([value.isfinite().all() for value in tensors]).all()):
            raise self.failed(f"epoch {self.epoch}: the weights are not finite after its last iteration")

    def failed(self, what: str) -> TrainingError:
        """The error that ends a training, with what is left of it."""
        last = self.checkpointer.get_checkpoint_file()
        kept = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        return TrainingError(f"{what}; {kept}. Lower SOLVER.BASE_LR, or enable SOLVER.CLIP_GRADIENTS")

    def evaluate(self) -> dict[str, Any]:
        """Evaluate on DATASETS.TESTS and write results.json.

        Re-ranking is done after the last epoch, and before where TEST.BEST_METRIC needs it.
        """
        reranked = any(" + " in figure for figure in listed(self.cfg.TEST.BEST_METRIC))
        rerank = reranked or self.epoch + 1 >= self.max_epoch
        results = self.test(self.cfg, self.model, rerank=rerank, which="last", epoch=self.epoch)
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
        return build_model(cfg)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> ImageLoader:
        """The loader of DATASETS.NAMES."""
        return build_train_loader(cfg)

    @classmethod
    def test(cls, cfg: CfgNode, model: nn.Module, **about: Any) -> dict[str, Any]:
        """See ``vireid.engine.evaluation.evaluate_model``."""
        return evaluate_model(cfg, model, **about)
