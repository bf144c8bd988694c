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

from vireid.commands.arguments import RUNS_INTERRUPTED, add_run_arguments
from vireid.files import output_folder
from vireid.runs.child_processes import run_all
from vireid.runs.results import by_row, read_results

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
    """Add what is trained, and what varies."""
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

    from vireid.runs.run import plan_run, settings_title

    keys = [key for key, *_ in args.vary]
    combinations = list(itertools.product(*(values for _, *values in args.vary)))
    seeds = dict.fromkeys(args.seeds)
    runs = {}
    for values, seed in itertools.product(combinations, seeds):
        varied = list(zip(keys, values))
        options = [*args.options, *itertools.chain(*varied)]
        title = settings_title(varied)
        runs[values, seed] = plan_run(args.config_file, options, seed, args.output, title)
    output_folder(args.output)
    waiting = {run.folder: run for run in runs.values() if not run.finished}
    failed = run_all(list(waiting.values()), args.jobs)

    headers = [*keys, "dataset", "row", "epoch", "seeds", *SHOWN]
    rows = []
    for values in combinations:
        done = [runs[values, seed].folder for seed in seeds if runs[values, seed].finished]
        rows += [[*values, *cells] for cells in table_rows(done, args.epoch)]
    print(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True))
    record = [dict(zip(headers, cells)) for cells in rows]
    (args.output / "sweep.json").write_text(json.dumps(record, indent=2) + "\n")
    for folder in failed:
        print(f"failed: see {folder / 'stdout.txt'}", file=sys.stderr)
    return 1 if failed else 0


def interrupted(args: argparse.Namespace) -> str:
    """Say how to go on."""
    return RUNS_INTERRUPTED


def table_rows(folders: list[Path], which: str) -> list[list[str]]:
    """List dataset, row, epoch, number of seeds and metrics; ± only where there are several seeds.

    The rows are those of the first setting of the first dataset: without re-ranking and, where the config has
    a re-ranker, with it.

    Args:
        folders: of the run of each seed.
        which: "last" or "best".
    """
    rows = by_row([result for folder in folders for result in read_results(folder, (which,))])
    if not rows:
        return [["", "", "", "0", *("" for _ in SHOWN)]]
    first, plain = next(iter(rows))
    return [
        [dataset, name, row.epochs, str(len(row.results)), *(row.cell(metric, 1) for metric in SHOWN)]
        for (dataset, name), row in rows.items()
        if dataset == first and (name == plain or name.startswith(f"{plain} + "))
    ]
