"""A training and its folder, which is named after its whole config.

So a finished run is found and not repeated, an interrupted one goes on from its newest checkpoint, and a run
whose config has changed is another one.
"""

import fastreid  # noqa: F401  isort: skip  (first of all: vireid mends it and registers its parts then)

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from vireid.config.files import full_config
from vireid.runs import FINAL, RESULTS

MODEL = f"{FINAL}.pth"
RECIPE = "recipe.yaml"  # the whole config but OUTPUT_DIR
LOG = "stdout.txt"


@dataclass(frozen=True, eq=False)
class Run:
    """One training.

    Attributes:
        name: for messages.
        config_file: as ``--config-file`` takes it.
        options: KEY VALUE pairs, without SEED and OUTPUT_DIR.
        cfg: the whole config, without OUTPUT_DIR.
        folder: its OUTPUT_DIR.
    """

    name: str
    config_file: str
    options: tuple[str, ...]
    seed: int
    cfg: CfgNode
    folder: Path

    @property
    def arguments(self) -> list[str]:
        """Arguments of ``vireid train`` and ``vireid evaluate``."""
        seed_and_folder = ["SEED", str(self.seed), "OUTPUT_DIR", str(self.folder)]
        return ["--config-file", self.config_file, *self.options, *seed_and_folder]

    @property
    def finished(self) -> bool:
        """Say whether this very config was trained for all its epochs and evaluated after the last."""
        recipe, *others = (self.folder / name for name in (RECIPE, MODEL, RESULTS))
        return all(file.is_file() for file in (recipe, *others)) and recipe.read_text() == self.cfg.dump()

    def prepare(self) -> Path:
        """Make the folder, with the recipe in it; returns the file for what its processes print."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / RECIPE).write_text(self.cfg.dump())
        return self.folder / LOG


def plan_run(
    config_file: str,
    options: Sequence[str],
    seed: int,
    output: Path,
    title: str = "",
    *,
    name: str = "",
    versions: Sequence[str] = (),
) -> Run:
    """Plan a run: its folder is named after a title, the seed, and a hash of the whole config.

    Args:
        options: KEY VALUE pairs, without SEED.
        output: the folder that holds those of the runs.
        title: see ``settings_title``.
        name: for messages; "" for the title and the seed.
        versions: what else decides the run, for the hash.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    cfg = full_config(config_file, [*options, "SEED", str(seed)])
    cfg.OUTPUT_DIR = ""
    digest = hashlib.sha256("\n".join([cfg.dump(), *versions]).encode()).hexdigest()[:10]
    readable = "_".join(filter(None, [title, f"seed{seed}"]))[:100]
    return Run(name or readable, config_file, tuple(options), seed, cfg, output / f"{readable}-{digest}")


def settings_title(settings: Iterable[tuple[str, str]]) -> str:
    """Name some settings for a folder: "MIXED_STEM-own_GAMMA-0.1"."""
    plain = [(key.rpartition(".")[2], re.sub(r"[^\w.-]+", "-", value).strip("-")) for key, value in settings]
    return "_".join(f"{key}-{value}" for key, value in plain)
