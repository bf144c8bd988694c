"""Compare runs: their figures in one table, and the differences in their configs.

Runs whose configs differ in the seed or in the split of RegDB alone are one row: mean ± standard deviation
over the runs. A run is the output folder of a training, or the folder eval of an evaluation.
"""

import argparse
import json
from pathlib import Path

EXAMPLES = """
examples:
  vireid compare logs/sysu/agw logs/sysu/pmcm
  vireid compare logs/stems/*/ --epoch both --metrics Rank-1 mAP --format csv --output stems.csv

The last epoch is that of model_final.pth and results.json. The best epoch is that of model_best.pth and
results_best.json; it was chosen on the test set, by TEST.BEST_METRIC.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, and which figures of them."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, or a results file"
    )
    parser.add_argument(
        "--epoch", choices=("last", "best", "both"), default="last", help="of each training (default last)"
    )
    parser.add_argument("--setting", default="", metavar="WORDS", help="rows with these words in their name")
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help="default: all")
    parser.add_argument("--every-run", action="store_true", help="a row for each run, instead of a mean")
    parser.add_argument(
        "--format", choices=("markdown", "csv", "json"), default="markdown", help="default: markdown"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there as well")


def run(args: argparse.Namespace) -> None:
    """Read, gather, print."""
    from vireid.commands import comparison
    from vireid.errors import UserError

    which = ("last", "best") if args.epoch == "both" else (args.epoch,)
    results = [result for path in args.runs for result in comparison.read_results(path, which)]
    rows = comparison.gather(
        [result for result in results if args.setting in result.row], every_run=args.every_run
    )
    if not rows:
        known = ", ".join(dict.fromkeys(result.row for result in results))
        raise UserError(f"--setting {args.setting!r}: no row has these words; the runs have {known}")
    metrics = comparison.metric_names(rows, args.metrics)
    changed = comparison.differences(rows)
    records = comparison.as_records(rows, metrics, changed)
    if args.format == "json":
        text = json.dumps(records, indent=2)
    elif args.format == "csv":
        text = comparison.as_csv(records)
    else:
        text = comparison.as_markdown(rows, metrics, changed)
    print(text)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")
