"""Train, or evaluate, a config on the ten splits of RegDB, and average what they reach.

Splits that have finished are not trained again, and an interrupted one goes on from its last checkpoint.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vireid.commands.arguments import RUNS_INTERRUPTED, add_run_arguments
from vireid.errors import ConfigError
from vireid.files import output_folder
from vireid.runs.child_processes import run_all, training_command, vireid_command
from vireid.runs.results import FILES, SPLIT, Gathered, by_row, read_results, read_results_file

if TYPE_CHECKING:
    from vireid.runs.run import Run

EXAMPLES = """
examples:
  train the ten splits and tabulate their last epochs:
    vireid splits --config-file pmcm/regdb --output logs/regdb/pmcm
  tabulate their best epochs, which were chosen on the test sets, as published codes do:
    vireid splits --config-file pmcm/regdb --output logs/regdb/pmcm --epoch best
  evaluate the best epoch of each again, with re-ranking:
    vireid splits --config-file pmcm/regdb --output logs/regdb/pmcm \\
        --eval-only best --eval-options TEST.RERANK.ENABLED True
  three splits, with another setting:
    vireid splits --config-file pmcm/regdb --output logs/regdb/p25 \\
        --splits 1 2 3 --options MODEL.PATCH_MIX.RATIO 0.25
  evaluate the last epoch of each with flipped images averaged in:
    vireid splits --config-file pmcm/regdb --output logs/regdb/pmcm \\
        --eval-only final --eval-options TEST.FLIP.ENABLED True

The folder of a split ends in a hash of its whole config, as those of vireid sweep. The mean and the
standard deviation over the splits are printed, and written to splits.json with the figures of each split.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is trained or evaluated."""
    add_run_arguments(parser)
    parser.add_argument(
        "--splits",
        nargs="+",
        type=int,
        default=list(range(1, 11)),
        choices=range(1, 11),
        metavar="N",
        help="default: all ten",
    )
    parser.add_argument(
        "--eval-only",
        choices=("best", "final"),
        help="evaluate model_best.pth or model_final.pth of each split instead of training",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of every split (default 0)")
    parser.add_argument(
        "--eval-options",
        nargs="+",
        default=[],
        metavar="KEY VALUE",
        help="settings of --eval-only alone, which the training did not have",
    )


def run(args: argparse.Namespace) -> int:
    """Run what is not finished, print the table, write splits.json; the exit status."""
    from tabulate import tabulate

    from vireid.runs.run import plan_run, settings_title

    check_config(args)
    runs = {}
    for split in args.splits:
        options, title = [*args.options, SPLIT, str(split)], settings_title([(SPLIT, str(split))])
        runs[split] = plan_run(args.config_file, options, args.seed, args.output, title)
    if args.eval_only:
        commands = {run: evaluation(run, args.eval_only, args.eval_options) for run in runs.values()}
    else:
        commands = {run: training_command(run) for run in runs.values() if not run.finished}
    output_folder(args.output)
    failed = run_all(list(commands), args.jobs, commands.__getitem__)
    files = {
        split: (run.folder / "eval" if args.eval_only else run.folder) / FILES[args.epoch]
        for split, run in runs.items()
        if run.folder not in failed
    }
    if not files:
        raise ConfigError(f"no split has finished; {args.output} has a stdout.txt for each")
    found = {split: read_results_file(file) for split, file in files.items()}
    results = by_row([result for file in files.values() for result in read_results(file)])
    rows = {name: row for (dataset, name), row in results.items() if dataset == "RegDB"}
    print(f"RegDB, splits {', '.join(map(str, found))}; {epochs(found.values())}")
    print(tabulate(table_rows(rows), headers="keys", tablefmt="pipe", disable_numparse=True))
    record = {"epochs": epochs(found.values()), "rows": averages(rows), "splits": found}
    (args.output / "splits.json").write_text(json.dumps(record, indent=2) + "\n")
    for folder in failed:
        print(f"failed: see {folder / 'stdout.txt'}", file=sys.stderr)
    return 1 if failed else 0


def interrupted(args: argparse.Namespace) -> str:
    """Say how to go on."""
    return RUNS_INTERRUPTED


def check_config(args: argparse.Namespace) -> None:
    """Refuse a config that would leave no figures of RegDB after hours.

    Raises:
        ConfigError: another dataset, no evaluation, or options without an evaluation.
    """
    from vireid.engine import full_config

    cfg = full_config(args.config_file, [*args.options, *args.eval_options])
    for key, names in (("NAMES", cfg.DATASETS.NAMES), ("TESTS", cfg.DATASETS.TESTS)):
        if "RegDB" not in names:
            raise ConfigError(
                f"DATASETS.{key} is {list(names)}; the splits are of RegDB, which it has to name"
            )
    if cfg.TEST.EVAL_PERIOD < 0 and not args.eval_only:
        raise ConfigError("TEST.EVAL_PERIOD -1 leaves no figures to average; 0 evaluates the last epoch")
    if args.epoch == "best" and args.eval_only:
        raise ConfigError("--epoch is of a training; --eval-only best or final names what is evaluated")
    if args.eval_options and not args.eval_only:
        raise ConfigError("--eval-options goes with --eval-only; settings of the training are --options")


def evaluation(run: "Run", weights: str, options: list[str]) -> list[str]:
    """Build the command that evaluates a trained split.

    Args:
        weights: "best" or "final".
        options: KEY VALUE pairs that the training did not have.

    Raises:
        ConfigError: the split has no such weights.
    """
    path = run.folder / f"model_{weights}.pth"
    if not path.is_file():
        raise ConfigError(
            f"--eval-only {weights}: there is no {path}; train the split first, with this config"
        )
    return vireid_command("evaluate", *run.arguments, "MODEL.WEIGHTS", path, *options)


def epochs(found: Iterable[dict[str, Any]]) -> str:
    """Say which epoch the figures of some results files are of."""
    chosen = {str(record["selected_by"]) for record in found if record.get("selected_by")}
    if chosen:
        return f"the best epoch of each, chosen on its test set by {' or '.join(sorted(chosen))}"
    return "the last epoch of each"


def averages(rows: dict[str, Gathered]) -> dict[str, dict[str, dict[str, float]]]:
    """Compute the mean and the standard deviation over the splits, of each row and metric."""
    return {
        name: {metric: {"mean": row.mean(metric), "std": row.spread(metric) or 0.0} for metric in row.metrics}
        for name, row in rows.items()
    }


def table_rows(rows: dict[str, Gathered]) -> list[dict[str, str]]:
    """List the cells of each row; mean ± standard deviation where there are several splits."""
    return [
        {
            "row": name,
            "splits": str(len(row.results)),
            **{metric: row.cell(metric, 2) for metric in row.metrics},
        }
        for name, row in rows.items()
    ]
