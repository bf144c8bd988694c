"""Train, or evaluate, a config on the ten splits of RegDB, and average what they reach.

Splits that have finished are not trained again, and an interrupted one goes on from its last checkpoint.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vireid.commands.comparison import FILES
from vireid.commands.runs import INTERRUPTED, Run, add_run_arguments, plan_run, run_all
from vireid.errors import ConfigError

KEY = "DATASETS.REGDB.SPLIT"
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
    """What is trained or evaluated."""
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

    check_config(args)
    runs = {
        split: plan_run(args.config_file, args.output, args.options, [KEY], (str(split),), args.seed)
        for split in args.splits
    }
    if args.eval_only:
        runs = {split: evaluation(run, args.eval_only, args.eval_options) for split, run in runs.items()}
    failed = run_all([run for run in runs.values() if args.eval_only or not run.finished], args.jobs)
    folders = {split: results_folder(run, args.eval_only) for split, run in runs.items()}
    found = {
        split: json.loads((folder / FILES[args.epoch]).read_text())
        for split, folder in folders.items()
        if runs[split].folder not in failed
    }
    if not found:
        raise ConfigError(f"no split has finished; {args.output} has a stdout.txt for each")
    means = averages(found)
    print(f"RegDB, splits {', '.join(map(str, found))}; {epochs(found)}")
    print(tabulate(table(means, len(found)), headers="keys", tablefmt="pipe", disable_numparse=True))
    record = {"epochs": epochs(found), "rows": means, "splits": found}
    (args.output / "splits.json").write_text(json.dumps(record, indent=2) + "\n")
    for folder in failed:
        print(f"failed: see {folder / 'stdout.txt'}", file=sys.stderr)
    return 1 if failed else 0


def interrupted(args: argparse.Namespace) -> str:
    """How to go on."""
    return INTERRUPTED


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


def evaluation(run: Run, weights: str, options: Sequence[str] = ()) -> Run:
    """The evaluation of a trained split.

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
    return replace(run, arguments=(*run.arguments, "MODEL.WEIGHTS", str(path), *options), evaluates=True)


def results_folder(run: Run, weights: str | None) -> Path:
    """Where results.json of a split is."""
    return run.folder / "eval" if weights else run.folder


def epochs(found: dict[int, dict[str, Any]]) -> str:
    """Which epoch the figures are of, in words."""
    chosen = {str(record["selected_by"]) for record in found.values() if record.get("selected_by")}
    if chosen:
        return f"the best epoch of each, chosen on its test set by {' or '.join(sorted(chosen))}"
    return "the last epoch of each"


def averages(found: dict[int, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Setting, or its re-ranked row -> metric -> mean and standard deviation over the splits, in percent.

    Args:
        found: split -> its results.json.
    """
    import numpy as np

    rows = {}
    for name in next(iter(found.values()))["results"]["RegDB"]:
        splits = [record["results"]["RegDB"][name]["mean"] for record in found.values()]
        columns = {metric: [split[metric] for split in splits] for metric in splits[0]}
        sample = min(1, len(splits) - 1)  # of one split, the deviation is 0
        rows[name] = {
            metric: {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=sample))}
            for metric, values in columns.items()
        }
    return rows


def table(means: dict[str, dict[str, dict[str, float]]], splits: int) -> list[dict[str, str]]:
    """The cells of each row; mean ± standard deviation where there are several splits."""
    rows = []
    for name, metrics in means.items():
        cells = {
            metric: f"{figure['mean']:.2f}" + (f" ± {figure['std']:.2f}" if splits > 1 else "")
            for metric, figure in metrics.items()
        }
        rows.append({"row": name, "splits": str(splits), **cells})
    return rows
