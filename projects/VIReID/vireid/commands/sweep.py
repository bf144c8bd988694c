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

from vireid.commands.comparison import Gathered, read_results
from vireid.commands.runs import INTERRUPTED, add_run_arguments, plan_run, run_all

SHOWN = ("Rank-1", "mAP", "mINP")
EXAMPLES = """
example:
  vireid sweep --config-file pmcm/demo --output logs/stems --seeds 0 1 2 \\
      --vary MODEL.TWO_STREAM.MIXED_STEM visible infrared own --vary MODEL.LOSSES.PMML.DETACH none mixed

Each run has a folder such as MIXED_STEM-own_DETACH-none_seed1-0123456789, which ends in a hash of its whole
config; recipe.yaml in it is that config. The table has the first setting of the first test set, without
re-ranking and with it, of the last epoch or the best; ± is the standard deviation over the seeds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is trained, and what varies."""
    add_run_arguments(parser)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="S", help="default: 0")
    parser.add_argument(
        "--vary",
        nargs="+",
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a key and the values to try; may be repeated: all combinations",
    )


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
        rows += [[*values, *cells] for cells in table_rows(done, args.epoch)]
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


def table_rows(folders: list[Path], which: str) -> list[list[str]]:
    """Dataset, row, epoch, number of seeds and metrics; ± only where there are several seeds.

    The rows are those of the first setting of the first dataset: without re-ranking and, where the config has
    a re-ranker, with it.

    Args:
        folders: of the run of each seed.
        which: "last" or "best".
    """
    results = [read_results(folder, (which,)) for folder in folders]
    if not results:
        return [["", "", "", "0", *("" for _ in SHOWN)]]
    first = results[0][0]
    rows = []
    for name in dict.fromkeys(result.row for result in results[0] if result.dataset == first.dataset):
        if name != first.row and not name.startswith(f"{first.row} + "):
            continue
        found = [r for run in results for r in run if (r.dataset, r.row) == (first.dataset, name)]
        row = Gathered("", found)
        cells = []
        for metric in SHOWN:
            spread = row.spread(metric)
            cells.append(f"{row.mean(metric):.1f}" + ("" if spread is None else f" ± {spread:.1f}"))
        rows.append([first.dataset, name, row.epochs, str(len(found)), *cells])
    return rows
