"""What a training reports while it runs: a line of the log, a progress bar, and the files of LOGGERS."""

import csv
import datetime
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from fastreid.engine import hooks
from fastreid.engine.train_loop import HookBase
from fastreid.utils.events import EventWriter, JSONWriter, TensorboardXWriter, get_event_storage
from tqdm.contrib.logging import logging_redirect_tqdm
from yacs.config import CfgNode

from vireid.engine.curves import Curves
from vireid.errors import ConfigError
from vireid.progress import progress_bar, show_progress

logger = logging.getLogger("fastreid.vireid.progress")

LOG_PERIOD = 200  # iterations; a GPU is asked for its losses that often, and at the end of an epoch
WINDOW = 20  # values over which a logged figure is the median, as in the toolkit


def reporting_hooks(cfg: CfgNode, max_iter: int) -> list[HookBase]:
    """The hooks that report, of the first process; after those that measure.

    Raises:
        ConfigError: a logger that is not installed.
    """
    folder = Path(cfg.OUTPUT_DIR)
    writers = [Printer(max_iter, cfg.SOLVER.IMS_PER_BATCH), JSONWriter(str(folder / "metrics.json"))]
    writers += [WRITERS[name](cfg, folder) for name in cfg.LOGGERS if name in WRITERS]
    built: list[HookBase] = [Writers(writers, period=LOG_PERIOD)]
    if "curves" in cfg.LOGGERS:
        built.append(Curves(folder))
    if show_progress():
        built.append(ProgressBar(cfg.SOLVER.IMS_PER_BATCH))
    return built


class Writers(hooks.PeriodicWriter):
    """The writers every ``period`` iterations and at the end of an epoch, after its evaluation.

    The toolkit's hook also writes before the last evaluation: its JSON writer then drops the figures,
    which are of an iteration that it has written already.
    """

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self._period == 0 and done % self.trainer.iters_per_epoch:
            for writer in self._writers:
                writer.write()


class ProgressBar(HookBase):
    """A bar for each epoch, on a terminal; lines of the log are written above it.

    Args:
        images: of a batch, over all processes.
    """

    def __init__(self, images: int):
        self.images, self.stack = images, ExitStack()
        self.bar: Any = None

    def before_train(self) -> None:
        self.stack.enter_context(logging_redirect_tqdm([logging.getLogger("fastreid")]))

    def before_epoch(self) -> None:
        title = f"epoch {self.trainer.epoch + 1} of {self.trainer.max_epoch}"
        batches = self.trainer.iters_per_epoch
        self.bar = progress_bar(title=title, unit="image", total=batches * self.images)

    def after_step(self) -> None:
        self.bar.update(self.images)
        if (self.trainer.iter + 1) % self.trainer.iters_per_epoch == 0:
            self.bar.close()  # an evaluation has a bar of its own

    def after_train(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.stack.close()


class Printer(EventWriter):
    """A line of the log: time left, losses, seconds of a step, images a second, learning rate, memory.

    Args:
        max_iter: iterations of the whole training.
        images: of a batch, over all processes.
    """

    def __init__(self, max_iter: int, images: int):
        self.max_iter, self.images = max_iter, images

    def write(self) -> None:
        """Log what the storage holds; nothing after the last iteration."""
        storage = get_event_storage()
        if storage.iter == self.max_iter:
            return
        histories = storage.histories()
        losses = [f"{name}: {values.median(200):.4g}" for name, values in histories.items() if "loss" in name]
        parts = [f"epoch/iter: {storage.epoch}/{storage.iter}", *losses]
        if "time" in histories:
            step = histories["time"].median(200)
            left = int(step * (self.max_iter - storage.iter - 1))
            storage.put_scalar("eta_seconds", left, smoothing_hint=False)
            parts.insert(0, f"eta: {datetime.timedelta(seconds=left)}")
            parts += [f"time: {step:.4f}", f"{self.images / step:.0f} images/s"]
        if "data_time" in histories:
            parts.append(f"data_time: {histories['data_time'].avg(WINDOW):.4f}")
        if "lr" in histories:
            parts.append(f"lr: {histories['lr'].latest():.2e}")
        logger.info("  ".join([*parts, f"max_mem: {peak_memory() >> 20}M"]))


def peak_memory() -> int:
    """The most memory that this process has held, in bytes: of its GPU; of the machine where it uses none; 0
    where the system does not say."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


class ScalarWriter(EventWriter):
    """Passes each iteration's new scalars to ``put(iteration, scalars)``, once."""

    def __init__(self) -> None:
        self._written = -1

    def put(self, iteration: int, scalars: dict[str, float]) -> None:
        """Write them."""
        raise NotImplementedError

    def write(self) -> None:
        """Write what is new in the storage."""
        new: dict[int, dict[str, float]] = {}
        for name, (value, iteration) in get_event_storage().latest_with_smoothing_hint(WINDOW).items():
            if iteration > self._written:
                new.setdefault(iteration, {})[name] = value
        for iteration in sorted(new):
            self.put(iteration, new[iteration])
            self._written = iteration


class CSVWriter(ScalarWriter):
    """A table with a line for each logged iteration. A run that is resumed goes on with it.

    Args:
        path: of the table; it is written anew where a column is new, such as a metric's.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.columns, self.rows = path, ["iteration"], []
        if path.is_file():
            with open(path, newline="") as file:
                reader = csv.DictReader(file)
                self.columns = list(reader.fieldnames or self.columns)
                self.rows = list(reader)

    def put(self, iteration: int, scalars: dict[str, float]) -> None:
        row: dict[str, Any] = {"iteration": iteration, **dict(sorted(scalars.items()))}
        fresh = [name for name in row if name not in self.columns]
        self.rows.append(row)
        self.columns += fresh
        anew = fresh or len(self.rows) == 1
        with open(self.path, "w" if anew else "a", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            if anew:
                writer.writeheader()
            writer.writerows(self.rows if anew else [row])


class WandbWriter(ScalarWriter):
    """Weights & Biases. ``WANDB_MODE=offline`` in the environment keeps the run on this machine.

    Args:
        cfg: the whole config, which the run records.
        folder: where the run's files go.

    Raises:
        ConfigError: wandb is not installed.
    """

    def __init__(self, cfg: CfgNode, folder: Path):
        super().__init__()
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(f'LOGGERS names wandb ({error}): pip install ".[wandb]"') from None
        self.run = wandb.init(
            project=cfg.WANDB.PROJECT,
            name=folder.name,
            dir=str(folder),
            config=_plain(cfg),
            reinit="create_new",
        )

    def put(self, iteration: int, scalars: dict[str, float]) -> None:
        self.run.log(scalars, step=iteration)

    def close(self) -> None:
        """End the run."""
        self.run.finish()


def _plain(cfg: CfgNode) -> dict[str, Any]:
    return {key: _plain(value) if isinstance(value, CfgNode) else value for key, value in cfg.items()}


# What LOGGERS names, but for "curves", which are drawn at the end.
WRITERS: dict[str, Callable[[CfgNode, Path], EventWriter]] = {
    "tensorboard": lambda cfg, folder: TensorboardXWriter(str(folder)),
    "csv": lambda cfg, folder: CSVWriter(folder / "metrics.csv"),
    "wandb": WandbWriter,
}
