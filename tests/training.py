"""Small trainings for tests."""

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs import tiny_config
from vireid.engine import VIReIDTrainer, setup

SHORT = {
    "MODEL__HEADS__NUM_CLASSES": 0,
    "MODEL__HEADS__PARTS__COUNT": 2,
    "MODEL__MDA__STAGES": ["auto"],
    "SOLVER__MAX_EPOCH": 1,
    "SOLVER__WARMUP_EPOCHS": 0,
    "SOLVER__WARMUP_ITERS": 0,
    "SOLVER__CHECKPOINT_PERIOD": 1,
    "DATALOADER__MAX_BATCHES_PER_EPOCH": 4,
    "DATASETS__TRIALS": 2,
    "TEST__EVAL_PERIOD": 1,
    "TEST__MSER__K1": 5,
    "TEST__MSER__K2": 3,
}


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    trainer: VIReIDTrainer
    results: dict[str, Any]
    unmoved: list[str]
    folder: Path

    @property
    def written(self) -> list[dict[str, float]]:
        """The lines of metrics.json."""
        return [json.loads(line) for line in (self.folder / "metrics.json").read_text().splitlines()]

    @property
    def losses(self) -> set[str]:
        """The names of the losses."""
        return {key for line in self.written for key in line if key.startswith("loss_")}


def trainer_of(folder: Path, file: str = "VIReID/configs/sysu.yml", **overrides: Any) -> VIReIDTrainer:
    """A trainer of a project's config, tiny and short, whose output goes to ``folder``."""
    cfg = tiny_config(file, **{**SHORT, "OUTPUT_DIR": str(folder), **overrides})
    return VIReIDTrainer(setup(cfg, Namespace(config_file="", eval_only=False)))


def train(
    folder: Path, file: str = "VIReID/configs/sysu.yml", *, resume: bool = False, **overrides: Any
) -> Trained:
    """Train, see ``trainer_of``; ``unmoved`` are the trainable tensors that are what they were before."""
    trainer = trainer_of(folder, file, **overrides)
    trainer.resume_or_load(resume=resume)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    results = trainer.train()
    learnable = {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}
    unmoved = [name for name, value in learnable.items() if bool((value == before[name]).all())]
    return Trained(trainer, results, unmoved, folder)
