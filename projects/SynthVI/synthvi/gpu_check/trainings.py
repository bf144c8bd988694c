"""AGW, PMCM without and with mixing, and MCJA, for the same steps, which fill the time that is left.

``python -m synthvi.gpu_check.trainings SCALE DEVICE FILE`` trains under $FASTREID_DATASETS for
$GPU_CHECK_SECONDS at most, and writes FILE anew after each training.
"""

import fastreid  # noqa: F401  isort: skip  (first of all: vireid mends it and registers its parts then)

import gc
import json
import logging
import os
import shutil
import statistics
import sys
import time
import traceback
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from fastreid.engine.train_loop import HookBase

from synthvi.gpu_check.scale import SCALES, Scale
from vireid.engine import VIReIDTrainer, full_config, setup
from vireid.files import write_atomically

ROWS = {
    "AGW": ("synthvi/small_agw", ()),
    "PMCM, p 0": ("synthvi/small_pmcm", ("MODEL.PATCH_MIX.RATIO", "0.0")),
    "PMCM, p 0.25": ("synthvi/small_pmcm", ("MODEL.PATCH_MIX.RATIO", "0.25")),
    "MCJA": ("synthvi/small_mcja", ()),
}
SLOWEST = "PMCM, p 0.25"  # whose batches have the mixed images beside the others
USED = 0.9  # of the time that is left


class EpochClock(HookBase):
    """Takes the seconds of the steps of each epoch. An epoch ends with the losses, which wait for the GPU."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def before_epoch(self) -> None:
        self.started = time.perf_counter()

    def after_epoch(self) -> None:
        self.seconds.append(time.perf_counter() - self.started)


class TimedTrainer(VIReIDTrainer):
    """A trainer whose ``clock`` comes before the evaluation."""

    clock: EpochClock

    def build_hooks(self) -> list[HookBase]:
        """The trainer's hooks after the clock."""
        self.clock = EpochClock()
        return [self.clock, *super().build_hooks()]


def options(scale: Scale, device: str, epochs: int, folder: Path) -> list[str]:
    """KEY VALUE pairs that every row has."""
    pairs: dict[str, object] = {
        "MODEL.DEVICE": device,
        "MODEL.BACKBONE.PRETRAIN": False,
        "INPUT.SIZE_TRAIN": list(scale.size),
        "INPUT.SIZE_TEST": list(scale.size),
        "DATASETS.SYSUMM01.TRAIN_ON": "trainval",
        "DATALOADER.MAX_BATCHES_PER_EPOCH": scale.epoch_steps,
        "SOLVER.MAX_EPOCH": epochs,
        "SOLVER.CHECKPOINT_PERIOD": epochs,
        "SOLVER.AMP.ENABLED": True,
        "SOLVER.AMP.DTYPE": "auto",
        "TEST.EVAL_PERIOD": 0,
        "LOGGERS": [],
        "OUTPUT_DIR": folder,
    }
    return [*scale.network, *scale.training, *(str(part) for pair in pairs.items() for part in pair)]


def train_row(name: str, scale: Scale, device: str, epochs: int, folder: Path) -> dict[str, Any]:
    """Train and evaluate one row from scratch; its figures, as plain values."""
    started = time.perf_counter()
    logging.getLogger("fastreid").handlers.clear()  # those of the row before
    config, own = ROWS[name]
    cfg = full_config(config, [*options(scale, device, epochs, folder), *own])
    trainer = TimedTrainer(setup(cfg, Namespace(config_file="", eval_only=False)))
    trainer.resume_or_load(resume=False)
    results = trainer.train()["SYSUMM01"]
    steps, seconds = trainer.iters_per_epoch, trainer.clock.seconds
    setting = next(iter(results))
    return {
        "steps": steps * epochs,
        "seconds": round(time.perf_counter() - started, 1),
        "seconds_a_step": statistics.median(seconds[1:] or seconds) / steps,
        "beside_the_steps": time.perf_counter() - started - sum(seconds),
        "setting": setting,
        "figures": {row: results[row] for row in results if row.partition(" + ")[0] == setting},
    }


def epochs_within(seconds: float, pace: dict[str, Any], scale: Scale) -> int:
    """How many epochs each row may have, so that all fit."""
    each = USED * seconds / len(ROWS) - pace["beside_the_steps"]
    return max(2, min(scale.most_epochs, int(each / (pace["seconds_a_step"] * scale.epoch_steps))))


def main() -> int:
    """Train all rows; the exit status, 1 where one failed."""
    scale, device, file = SCALES[sys.argv[1]], sys.argv[2], Path(sys.argv[3])
    ends = time.monotonic() + float(os.environ["GPU_CHECK_SECONDS"])
    work = file.parent / "trainings"
    shutil.rmtree(work, ignore_errors=True)
    found: dict[str, Any] = {"rows": {}}

    def trained(name: str, epochs: int) -> dict[str, Any]:
        try:
            return train_row(name, scale, device, epochs, work / name.replace(", ", "_").replace(" ", ""))
        except Exception as error:
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            shutil.rmtree(work, ignore_errors=True)
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()

    def write() -> None:
        write_atomically(file, lambda out: out.write(json.dumps(found, indent=2).encode()))

    found["pace"] = pace = trained(SLOWEST, scale.pace_epochs)
    write()
    epochs = 2 if "error" in pace else epochs_within(ends - time.monotonic(), pace, scale)
    for name in ROWS:
        found["rows"][name] = trained(name, epochs)
        write()
    return int(any("error" in row for row in found["rows"].values()))


if __name__ == "__main__":
    sys.exit(main())
