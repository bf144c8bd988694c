#!/usr/bin/env python
"""Train a config with every combination of some settings and seeds, and tabulate what they reach.

One run's Rank-1 varies by points from seed to seed: compare settings over several. Runs that have
finished are not repeated, so that a sweep may be interrupted, and extended later. A run is repeated where
anything in its config has changed since, a default among it: its folder is named after that config.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

TRAIN_NET = Path(__file__).with_name("train_net.py")
INTERRUPTED = "interrupted; the same command goes on from the last checkpoints"
SHOWN = ("Rank-1", "mAP", "mINP")
EXAMPLE = """
example:
  python tools/sweep.py --config-file projects/PMCM/configs/demo.yml --output logs/stems --seeds 0 1 2 \\
      --vary MODEL.TWO_STREAM.MIXED_STEM visible infrared own --vary MODEL.LOSSES.PMML.DETACH none mixed

Each run has a folder such as MIXED_STEM-own_DETACH-none_seed1-0123456789, which ends in a hash of its whole
config; recipe.yaml in it is that config. The table has the first setting of the first test set, without
re-ranking and with it, and the epoch that was evaluated; ± is the standard deviation over the seeds.
"""


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        folder: its OUTPUT_DIR.
        recipe: its whole config but OUTPUT_DIR, as YAML.
        command: what trains it.
    """

    folder: Path
    recipe: str
    command: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether this very recipe trained all its epochs and was evaluated after the last."""
        files = [self.folder / name for name in ("recipe.yaml", "model_final.pth", "results.json")]
        return all(file.is_file() for file in files) and files[0].read_text() == self.recipe


def main() -> int:
    """Run what is not finished, print the table, write sweep.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="what is trained")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a folder for each run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="S", help="default: 0")
    parser.add_argument(
        "--vary",
        nargs="+",
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a key and the values to try; may be repeated: all combinations",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time (default 1)")
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY VALUE", help="settings of all runs")
    args = parser.parse_args()

    from vireid.errors import UserError

    keys = [key for key, *_ in args.vary]
    combinations = list(itertools.product(*(values for _, *values in args.vary)))
    seeds = dict.fromkeys(args.seeds)
    try:
        runs = {
            (values, seed): plan_run(args, keys, values, seed) for values in combinations for seed in seeds
        }
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    waiting = {run.folder: run for run in runs.values() if not run.finished}
    try:
        failed = run_all(list(waiting.values()), args.jobs)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130

    headers = [*keys, "dataset", "row", "epoch", "seeds", *SHOWN]
    rows = []
    for values in combinations:
        done = [runs[values, seed].folder for seed in seeds if runs[values, seed].finished]
        rows += [[*values, *cells] for cells in table_rows([read_results(folder) for folder in done])]
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))
    args.output.mkdir(parents=True, exist_ok=True)
    record = [dict(zip(headers, cells)) for cells in rows]
    (args.output / "sweep.json").write_text(json.dumps(record, indent=2) + "\n")
    for folder in failed:
        print(f"failed: see {folder / 'stdout.txt'}", file=sys.stderr)
    return 1 if failed else 0


def plan_run(args: argparse.Namespace, keys: list[str], values: tuple[str, ...], seed: int) -> Run:
    """The run of some values and a seed: its folder is named after keys, values and the whole config.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    from _configurations import full_config

    varied = [item for pair in zip(keys, values) for item in pair]
    options = [*args.options, *varied, "SEED", str(seed)]
    cfg = full_config(args.config_file, options)
    cfg.OUTPUT_DIR = ""
    recipe: str = cfg.dump()
    plain = [re.sub(r"[^\w.-]+", "-", value).strip("-") for value in values]
    names = [f"{key.rpartition('.')[2]}-{value}" for key, value in zip(keys, plain)]
    readable = "_".join([*names, f"seed{seed}"])[:100]
    folder = args.output / f"{readable}-{hashlib.sha256(recipe.encode()).hexdigest()[:10]}"
    base = [sys.executable, str(TRAIN_NET), "--resume", "--config-file", args.config_file]
    return Run(folder, recipe, (*base, *options, "OUTPUT_DIR", str(folder)))


def run_all(runs: list[Run], jobs: int) -> list[Path]:
    """Run them, ``jobs`` at a time; the folders of those that failed."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}

    def train(run: Run) -> Path | None:
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "recipe.yaml").write_text(run.recipe)
        with open(run.folder / "stdout.txt", "w") as log:
            code = subprocess.run(
                run.command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False
            ).returncode
        return run.folder if code else None

    pool = ThreadPoolExecutor(jobs)
    try:
        running = [pool.submit(train, run) for run in runs]
        outcomes = [future.result() for future in tqdm(as_completed(running), total=len(running), unit="run")]
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, runs that wait do not start
    return [folder for folder in outcomes if folder is not None]


def read_results(folder: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    """(dataset, row, epoch) -> mean of each metric, for the first setting of the first dataset: without
    re-ranking and, where the config has a re-ranker, with it."""
    record = json.loads((folder / "results.json").read_text())
    dataset, found = next(iter(record["results"].items()))
    setting = next(iter(found))
    epoch = str(record.get("epoch", ""))
    return {
        (dataset, name, epoch): result["mean"]
        for name, result in found.items()
        if name == setting or name.startswith(f"{setting} + ")
    }


def table_rows(results: list[dict[tuple[str, str, str], dict[str, float]]]) -> list[list[str]]:
    """Dataset, row, epoch, number of seeds and metrics; ± only where there are several seeds.

    Args:
        results: what ``read_results`` found for each seed.
    """
    if not results:
        return [["", "", "", "0", *("" for _ in SHOWN)]]
    rows = []
    for name in results[0]:
        columns = [[result[name][metric] for result in results] for metric in SHOWN]
        spreads = [f" ± {np.std(column):.1f}" if len(column) > 1 else "" for column in columns]
        cells = [f"{np.mean(column):.1f}{spread}" for column, spread in zip(columns, spreads)]
        rows.append([*name, str(len(results)), *cells])
    return rows


if __name__ == "__main__":
    sys.exit(main())
