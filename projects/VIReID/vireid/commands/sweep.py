"""Train a config with every combination of some settings and seeds, and tabulate what they reach.

One run's Rank-1 varies by points from seed to seed: compare settings over several. Runs that have
finished are not repeated, so that a sweep may be interrupted, and extended later. A run is repeated where
anything in its config has changed since, a default among it: its folder is named after that config.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

from vireid.commands.runs import INTERRUPTED, plan_run, run_all

SHOWN = ("Rank-1", "mAP", "mINP")
EXAMPLES = """
example:
  vireid sweep --config-file pmcm/demo --output logs/stems --seeds 0 1 2 \\
      --vary MODEL.TWO_STREAM.MIXED_STEM visible infrared own --vary MODEL.LOSSES.PMML.DETACH none mixed

Each run has a folder such as MIXED_STEM-own_DETACH-none_seed1-0123456789, which ends in a hash of its whole
config; recipe.yaml in it is that config. The table has the first setting of the first test set, without
re-ranking and with it, and the epoch that was evaluated; ± is the standard deviation over the seeds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is trained, and what varies."""
    parser.add_argument("--config-file", required=True, metavar="CONFIG", help="what is trained")
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


def run(args: argparse.Namespace) -> int:
    """Run what is not finished, print the table, write sweep.json."""
    from tabulate import tabulate

    keys = [key for key, *_ in args.vary]
    combinations = list(itertools.product(*(values for _, *values in args.vary)))
    seeds = dict.fromkeys(args.seeds)
    runs = {
        (values, seed): plan_run(args.config_file, args.output, args.options, keys, values, seed)
        for values in combinations
        for seed in seeds
    }
    waiting = {run.folder: run for run in runs.values() if not run.finished}
    failed = run_all(list(waiting.values()), args.jobs)

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


def interrupted(args: argparse.Namespace) -> str:
    """How to go on."""
    return INTERRUPTED


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
    import numpy as np

    if not results:
        return [["", "", "", "0", *("" for _ in SHOWN)]]
    rows = []
    for name in results[0]:
        columns = [[result[name][metric] for result in results] for metric in SHOWN]
        spreads = [f" ± {np.std(column):.1f}" if len(column) > 1 else "" for column in columns]
        cells = [f"{np.mean(column):.1f}{spread}" for column, spread in zip(columns, spreads)]
        rows.append([*name, str(len(results)), *cells])
    return rows
