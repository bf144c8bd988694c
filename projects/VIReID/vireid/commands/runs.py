"""Trainings in processes of their own, each with a folder that is named after its whole config."""

import argparse
import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from vireid.command_line import config_name, number_from
from vireid.commands.arguments import child_environment, vireid_command
from vireid.files import output_folder

INTERRUPTED = "; the same command goes on from the last checkpoints"


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        folder: its OUTPUT_DIR.
        recipe: its whole config but OUTPUT_DIR, as YAML.
        arguments: those of ``vireid train`` or ``vireid evaluate``.
        evaluates: whether it evaluates what is trained already.
    """

    folder: Path
    recipe: str
    arguments: tuple[str, ...]
    evaluates: bool = False

    @property
    def command(self) -> list[str]:
        """What runs it."""
        word = ("evaluate",) if self.evaluates else ("train", "--resume")
        return vireid_command(*word, *self.arguments)

    @property
    def finished(self) -> bool:
        """Whether this very recipe trained all its epochs and was evaluated after the last."""
        files = [self.folder / name for name in ("recipe.yaml", "model_final.pth", "results.json")]
        return all(file.is_file() for file in files) and files[0].read_text() == self.recipe


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every set of runs takes: its config, folder, epoch, number at a time and settings."""
    parser.add_argument(
        "--config-file", type=config_name, required=True, metavar="CONFIG", help="what is trained"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a folder for each run")
    parser.add_argument(
        "--epoch",
        choices=("last", "best"),
        default="last",
        help="which epoch the table has (default last); the best is chosen on the test set",
    )
    parser.add_argument(
        "--jobs", type=number_from(1), default=1, metavar="N", help="runs at a time (default 1)"
    )
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY VALUE", help="settings of all runs")


def plan_run(
    config_file: str,
    output: Path,
    options: Sequence[str],
    keys: Sequence[str],
    values: Sequence[str],
    seed: int,
) -> Run:
    """The run of some values and a seed: its folder is named after keys, values and the whole config.

    Args:
        output: the folder that holds those of the runs.
        options: KEY VALUE pairs of every run.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    from vireid.engine import full_config

    varied = [item for pair in zip(keys, values) for item in pair]
    options = [*options, *varied, "SEED", str(seed)]
    cfg = full_config(config_file, options)
    cfg.OUTPUT_DIR = ""
    recipe: str = cfg.dump()
    plain = [re.sub(r"[^\w.-]+", "-", value).strip("-") for value in values]
    names = [f"{key.rpartition('.')[2]}-{value}" for key, value in zip(keys, plain)]
    readable = "_".join([*names, f"seed{seed}"])[:100]
    folder = output / f"{readable}-{hashlib.sha256(recipe.encode()).hexdigest()[:10]}"
    return Run(folder, recipe, ("--config-file", config_file, *options, "OUTPUT_DIR", str(folder)))


def run_all(runs: list[Run], jobs: int) -> list[Path]:
    """Run them, ``jobs`` at a time; the folders of those that failed."""
    from tqdm import tqdm

    for run in runs:
        output_folder(run.folder)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **child_environment()}

    def start(run: Run) -> Path | None:
        (run.folder / "recipe.yaml").write_text(run.recipe)
        with open(run.folder / "stdout.txt", "w") as log:
            code = subprocess.run(
                run.command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False
            ).returncode
        return run.folder if code else None

    pool = ThreadPoolExecutor(jobs)
    try:
        running = [pool.submit(start, run) for run in runs]
        outcomes = [future.result() for future in tqdm(as_completed(running), total=len(running), unit="run")]
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, runs that wait do not start
    return [folder for folder in outcomes if folder is not None]
