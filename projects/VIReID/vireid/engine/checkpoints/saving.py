"""Which checkpoints a run writes: after an epoch, within one, and beside them what is not finite."""

import logging
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from vireid.config.changes import config_record
from vireid.engine.checkpoints.checkpoint import WITHIN_EPOCH, AtomicCheckpointer, checkpoint_tag
from vireid.engine.checkpoints.resume import generator_states
from vireid.errors import TrainingError

logger = logging.getLogger("fastreid.vireid.saving")

NOT_FINITE = "not_finite"  # no run goes on from a file of this name


def run_record(cfg: CfgNode, train_set: Any) -> dict[str, Any]:
    """What every checkpoint of a run records beside its state, as plain values."""
    return {
        "num_classes": cfg.MODEL.HEADS.NUM_CLASSES,
        "num_images": len(train_set),
        "datasets": {type(dataset).__name__: checkpoint_tag(dataset) for dataset in train_set.datasets},
        "seed": cfg.SEED,
        "config": config_record(cfg),
    }


class RunCheckpoints:
    """The checkpoints of a run.

    Args:
        checkpointer: writes them, on the first process.
        record: of ``run_record``.

    Attributes:
        best: TEST.BEST_METRIC of the best evaluation so far; None for none.
    """

    def __init__(self, checkpointer: AtomicCheckpointer, record: dict[str, Any]) -> None:
        self.checkpointer, self.record = checkpointer, record
        self.best: float | None = None

    def save_epoch(self, name: str, epoch: int, **about: Any) -> None:
        """Save the state at the end of an epoch, its evaluation done; ``about`` is recorded, too."""
        self.checkpointer.save(name, epoch=epoch, best_metric=self.best, **about, **self.record)

    def save_within(self, epoch: int, step: int, *, drawing: bool = True) -> None:
        """Save the state after ``step`` steps of an epoch.

        Args:
            drawing: whether the epoch draws on from the random generators, which every process then gives;
                after its last step it does not.
        """
        generators = generator_states() if drawing else None
        self.save_epoch(WITHIN_EPOCH, epoch, step=step, generators=generators)

    def check_finite(self, epoch: int, when: str) -> None:
        """Look at weights and running statistics before they are evaluated or saved: after the last update
        there is no loss that would tell.

        Raises:
            TrainingError: some are NaN or infinite; they are kept beside, under a name of their own.
        """
        if not all_finite(self.checkpointer.models):
            raise self.not_finite(epoch, f"epoch {epoch}: the weights are not finite {when}")

    def not_finite(self, epoch: int, what: str) -> TrainingError:
        """The error that ends a training whose weights are spoiled, which are kept beside."""
        name = f"{NOT_FINITE}_{epoch:04d}"
        self.checkpointer.save(name, tag=False, epoch=epoch, **self.record)
        return self.failed(f"{what} (kept as {name}.pth)")

    def failed(self, what: str) -> TrainingError:
        """The error that ends a training, with what is left of it."""
        last = self.checkpointer.get_checkpoint_file()
        kept = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        return TrainingError(f"{what}; {kept}. Lower SOLVER.BASE_LR, or enable SOLVER.CLIP_GRADIENTS")


def all_finite(models: list[nn.Module]) -> bool:
    """Whether all weights and buffers are; the device is waited for once."""
    tensors = [value for model in models for value in model.state_dict().values()]
    finite = [value.isfinite().all() for value in tensors if value.is_floating_point()]
    return bool(torch.stack(finite).all())
