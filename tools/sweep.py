#!/usr/bin/env python
"""Train a config with every combination of some settings and seeds, and tabulate what they reach.

One run's Rank-1 varies by points from seed to seed: compare settings over several. Runs that have
finished are not repeated, so that a sweep may be interrupted, and extended later.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import itertools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

TRAIN_NET = Path(__file__).with_name("train_net.py")
SHOWN = ("Rank-1", "mAP", "mINP")
EXAMPLE = """
example:
  python tools/sweep.py --config-file projects/PMCM/configs/demo.yml --output logs/stems --seeds 0 1 2 \\
      --vary MODEL.TWO_STREAM.MIXED_STEM visible infrared own --vary MODEL.LOSSES.PMML.DETACH none mixed
"""


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

    keys = [key for key, *_ in args.vary]
    combinations = list(itertools.product(*(values for _, *values in args.vary)))
    runs = {
        (values, seed): run_folder(args.output, values, seed)
        for values in combinations
        for seed in args.seeds
    }
    base = [sys.executable, str(TRAIN_NET), "--resume", "--config-file", args.config_file, *args.options]
    commands = []
    for (values, seed), folder in runs.items():
        varied = [item for pair in zip(keys, values) for item in pair]
        if not finished(folder):
            commands.append(([*base, *varied, "SEED", str(seed), "OUTPUT_DIR", str(folder)], folder))
    failed = run_all(commands, args.jobs)

    rows = []
    for values in combinations:
        done = [figures(runs[values, seed]) for seed in args.seeds if finished(runs[values, seed])]
        cells = [f"{np.mean(column):.1f} ± {np.std(column):.1f}" for column in zip(*done)]
        rows.append([*values, len(done), *cells])
    headers = [*keys, "seeds", *SHOWN]
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))
    record = [dict(zip(headers, row)) for row in rows]
    (args.output / "sweep.json").write_text(json.dumps(record, indent=2) + "\n")
    for folder in failed:
        print(f"failed: see {folder / 'stdout.txt'}", file=sys.stderr)
    return 1 if failed else 0


def run_folder(output: Path, values: tuple[str, ...], seed: int) -> Path:
    """A folder named after the values."""
    return output / "_".join([*(value.replace("/", "-") for value in values), f"seed{seed}"])


def finished(folder: Path) -> bool:
    """Whether the run trained all its epochs and was evaluated after the last."""
    return (folder / "model_final.pth").is_file() and (folder / "results.json").is_file()


def run_all(commands: list[tuple[list[str], Path]], jobs: int) -> list[Path]:
    """Run the commands, ``jobs`` at a time; the folders of those that failed."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}

    def run(command: list[str], folder: Path) -> Path | None:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "stdout.txt", "w") as log:
            code = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False
            ).returncode
        return folder if code else None

    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(run, *command) for command in commands]
        outcomes = [future.result() for future in tqdm(as_completed(running), total=len(running), unit="run")]
    return [folder for folder in outcomes if folder is not None]


def figures(folder: Path) -> list[float]:
    """The mean of each metric in the first setting of the first dataset."""
    results = json.loads((folder / "results.json").read_text())["results"]
    settings = next(iter(results.values()))
    mean = next(iter(settings.values()))["mean"]
    return [mean[name] for name in SHOWN]


if __name__ == "__main__":
    sys.exit(main())
