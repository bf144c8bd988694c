"""Which checkpoints a run writes: after an epoch, within one, and beside them what is not finite."""

import itertools
import json
import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from vireid.config.changes import config_record
from vireid.engine.checkpoints.checkpoint import WITHIN_EPOCH, AtomicCheckpointer, checkpoint_tag
from vireid.engine.checkpoints.resume import Place, generator_states, place_of
from vireid.engine.reports import last_and_best, write_results
from vireid.errors import TrainingError
from vireid.files import refuse_machine_fault
from vireid.runs import BEST, BEST_RESULTS, FINAL, RESULTS

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
        figure: of ``vireid.engine.evaluation_sets.figure_record``.

    Attributes:
        best: TEST.BEST_METRIC of the best evaluation so far; None for none.
    """

    def __init__(
        self, checkpointer: AtomicCheckpointer, record: dict[str, Any], figure: dict[str, Any]
    ) -> None:
        self.checkpointer, self.record, self.figure = checkpointer, record, figure
        self.folder, self.selected_by = Path(checkpointer.save_dir), record["config"]["TEST.BEST_METRIC"]
        self.best: float | None = None

    def take_up_best(self) -> None:
        """Go on from the best model in the run's folder, and write its results again.

        Where it was chosen by a figure of another meaning (another metric, test set or protocol), it gets
        another name, and the best is looked for anew.
        """
        path, results = self.folder / f"{BEST}.pth", self.folder / BEST_RESULTS
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # it is not there, or is damaged in some way
            refuse_machine_fault(error, path)
            results.unlink(missing_ok=True)
            return
        chosen_by = content.get("figure") or {}
        changed = next((name for name in self.figure if self.figure[name] != chosen_by.get(name)), "")
        if not changed:
            self.best = content["metric"]
            write_results(results, content["results"])
            return
        number = next(n for n in itertools.count(1) if not path.with_stem(f"{BEST}_{n}").exists())
        os.replace(path, path.with_stem(f"{BEST}_{number}"))
        if results.is_file():
            os.replace(results, results.with_stem(f"{results.stem}_{number}"))
        change = f"{changed} {chosen_by.get(changed)!r} -> {self.figure[changed]!r}"
        logger.warning(
            f"The best figure so far has another meaning ({change}): its model is kept as "
            f"{BEST}_{number}.pth, and the best is looked for anew"
        )

    def finish_epoch(self, place: Place, metric: float | None, last: bool, *, resumed: bool = False) -> None:
        """Save what is kept of a place in a run: the best model so far, with its results; the last one; or
        one of SOLVER.CHECKPOINT_PERIOD.

        Args:
            metric: TEST.BEST_METRIC of its evaluation; None where there was none.
            last: whether it is the end of the run.
            resumed: whether the run goes on from there, so that only what is missing is written.
        """
        epoch = place.epoch if place.step else place.epoch - 1
        about: dict[str, Any] = {"metric": metric, **({"step": place.step} if place.step else {})}
        if metric is not None and (self.best is None or metric > self.best):
            self.best = metric
            record = json.loads((self.folder / RESULTS).read_text())
            results = {**record, "which": "best", "selected_by": self.selected_by}
            chosen = {"selected_by": self.selected_by, "figure": self.figure, "results": results}
            self.save_epoch(BEST, epoch, **about, **chosen)
            write_results(self.folder / BEST_RESULTS, results)
        period = self.record["config"]["SOLVER.CHECKPOINT_PERIOD"]
        periodic = period > 0 and place.epoch > 0 and place.epoch % period == 0
        name = FINAL if last else f"model_{epoch:04d}" if periodic else ""
        written = [place_of(self.folder / f"{one}.pth") for one in (name, FINAL)] if resumed else []
        if name and place not in written:
            self.save_epoch(name, epoch, **about)
            if last and (said := last_and_best(self.folder, self.selected_by, metric, self.best)):
                logger.info(said)

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
