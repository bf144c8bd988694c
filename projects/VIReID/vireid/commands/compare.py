"""Compare runs: their figures in one table, and the differences in their configs.

Runs whose configs differ in the seed or in the split of RegDB alone are one row: mean ± standard deviation
over the runs. A run is the output folder of a training, or the folder eval of an evaluation.
"""

import argparse
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vireid.errors import UserError
from vireid.runs.results import Gathered, differences, gather, read_results

EXAMPLES = """
examples:
  vireid compare logs/sysu/agw logs/sysu/pmcm
  vireid compare logs/stems/*/ --epoch both --metrics Rank-1 mAP --format csv --output stems.csv

The last epoch is that of model_final.pth and results.json. The best epoch is that of model_best.pth and
results_best.json; it was chosen on the test set, by TEST.BEST_METRIC.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the runs, and which figures of them."""
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
    which = ("last", "best") if args.epoch == "both" else (args.epoch,)
    results = [result for path in args.runs for result in read_results(path, which)]
    rows = gather([result for result in results if args.setting in result.row], every_run=args.every_run)
    if not rows:
        known = ", ".join(dict.fromkeys(result.row for result in results))
        raise UserError(f"--setting {args.setting!r}: no row has these words; the runs have {known}")
    metrics, changed = metric_names(rows, args.metrics), differences(rows)
    if args.format == "json":
        text = json.dumps(as_records(rows, metrics, changed), indent=2)
    elif args.format == "csv":
        text = as_csv(as_records(rows, metrics, changed))
    else:
        text = as_markdown(rows, metrics, changed)
    print(text)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")


def metric_names(rows: Sequence[Gathered], chosen: Sequence[str] = ()) -> list[str]:
    """Find the metrics that all rows have, or those of them that are chosen.

    Raises:
        UserError: a chosen one is not among them.
    """
    known = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
    for name in chosen:
        if name not in known:
            raise UserError(f"--metrics names {name!r}; the runs have {', '.join(known)}")
    return list(chosen) or known


def as_markdown(rows: Sequence[Gathered], metrics: Sequence[str], changed: dict[str, dict[str, Any]]) -> str:
    """Tabulate the figures, mean ± standard deviation; below them the differences in config."""
    from tabulate import tabulate

    table = []
    for row in rows:
        first, cells = row.results[0], [row.cell(metric, 2) for metric in metrics]
        table.append([row.name, first.dataset, first.row, row.epochs, row.number, *cells])
    headers = ["run", "dataset", "setting", "epoch", "runs", *metrics]
    text = tabulate(table, headers=headers, tablefmt="pipe", disable_numparse=True)
    if changed:
        names = list(next(iter(changed.values())))
        lines = [[key, *(str(values[name]) for name in names)] for key, values in changed.items()]
        text += "\n\n" + tabulate(lines, headers=["key", *names], tablefmt="pipe", disable_numparse=True)
    return text


def as_records(
    rows: Sequence[Gathered], metrics: Sequence[str], changed: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """List plain values of each row: figures in full, ``<metric> std`` where there are several runs, and the
    config keys in which the runs differ."""
    records = []
    for row in rows:
        first = row.results[0]
        record: dict[str, Any] = {"run": row.name, "dataset": first.dataset, "setting": first.row}
        record |= {"epoch": row.epochs, "runs": len(row.results)}
        for metric in metrics:
            record |= {metric: row.mean(metric), f"{metric} std": row.spread(metric)}
        records.append(record | {key: values.get(row.name) for key, values in changed.items()})
    return records


def as_csv(records: Sequence[dict[str, Any]]) -> str:
    """Write a line for each record, below the names of the columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().rstrip("\n")
