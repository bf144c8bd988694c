"""The tables of an ablation: what each row reaches, and how it compares with another row."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from synthvi.ablation.run_records import Record
from synthvi.ablation.scores import PLAIN
from synthvi.ablation.statistics import LEVEL, Difference, mean_and_deviation, paired_difference
from synthvi.ablation.suites import Suite, SuiteRow
from vireid.errors import UserError
from vireid.runs.results import mean_and_spread

logger = logging.getLogger("synthvi.ablation")

FIGURES = ("Rank-1", "mAP")
WHO = {"val": "validation identities", "test": "test identities"}


def suite_table(
    rows: Sequence[SuiteRow], found: Mapping[str, Mapping[int, Record]], subset: str
) -> list[dict[str, Any]]:
    """Make one entry for each row and ranking, as plain values.

    Args:
        rows: those to be shown.
        found: the records of these rows and of those that they are compared with, by name and seed.
        subset: "val" or "test".

    Returns:
        name, ranking, label (both in words), curve, seeds. Where the row has records: codes (versions),
        steps, train_seconds (mean), and for each figure mean, std (None for one seed), values. Where it is
        compared with a row that has seeds in common: against (its label), paired_seeds, and for each figure
        difference (mean, low, high).
    """
    entries = []
    for row in rows:
        own = found[row.name]
        rankings = list(next(iter(own.values())).scores[subset]) if own else [PLAIN]
        for ranking in [row.ranking] if row.ranking else rankings:
            entry = _reached(own, subset, ranking)
            if row.against and own:
                entry.update(_compared(own, row, found[row.against], subset, ranking))
            label = row.name if row.ranking else _label(row.name, ranking)
            about = {"name": row.name, "ranking": ranking, "label": label, "curve": row.curve}
            entries.append({**about, **entry})
    return entries


def markdown_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Write the entries as a table in Markdown."""
    headers = ["row", "seeds", *FIGURES, "compared with", *(f"difference in {f}" for f in FIGURES), "seconds"]
    several = len(versions_of(entries)) > 1
    lines = []
    for entry in entries:
        reached = [_cell(entry, figure) for figure in FIGURES]
        gains = entry.get("difference", {})
        compared = entry.get("against", "")
        if gains and entry["paired_seeds"] < len(entry["seeds"]):
            compared += f" ({entry['paired_seeds']} seed{'s' * (entry['paired_seeds'] > 1)})"
        worth = [_interval(gains[figure]) if figure in gains else "" for figure in FIGURES]
        seconds = f"{entry['train_seconds']:.0f}" if entry["seeds"] else ""
        line = [entry["label"], len(entry["seeds"]), *reached, compared, *worth, seconds]
        lines.append([*line, ", ".join(entry.get("codes", []))] if several else line)
    headers += ["code"] if several else []
    return tabulate(lines, headers=headers, tablefmt="pipe", disable_numparse=True)


def versions_of(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the versions of the code that trained the entries."""
    return sorted({code for entry in entries for code in entry.get("codes", [])})


def write_table(folder: Path, suite: Suite, subset: str, entries: Sequence[Mapping[str, Any]]) -> dict:
    """Write the table of a suite as <suite>-<subset>.md and .json; but not over one that has more seeds of a
    row, which is left with a warning.

    Returns:
        What the JSON holds: suite, title, subset, and the entries as rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite.name}-{subset}.json"
    table = {"suite": suite.name, "title": suite.title, "subset": subset, "rows": entries}
    if richer := _row_with_more(path, suite, entries):
        logger.warning(
            f"{path} is left as it is: this table has fewer seeds of {richer!r}. Show all rows with as many "
            "--seeds, name the version of the code by --code, or delete the file"
        )
        return table
    path.write_text(json.dumps(table, indent=1) + "\n")
    path.with_suffix(".md").write_text(table_text(table))
    return table


def _row_with_more(path: Path, suite: Suite, entries: Sequence[Mapping[str, Any]]) -> str:
    """Find a row of the suite of which the table at a path has more seeds; "" for none."""
    if not path.is_file():
        return ""
    seeds = {row.name: 0 for row in suite.rows} | {row["name"]: len(row["seeds"]) for row in entries}
    rows = read_table(path)["rows"]
    return next((r["name"] for r in rows if len(r["seeds"]) > seeds.get(r["name"], math.inf)), "")


def read_table(path: Path) -> dict[str, Any]:
    """Read a table that ``write_table`` has written.

    Raises:
        UserError: it cannot be read, or is something else.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not {"title", "subset", "rows"} <= set(table):
            raise ValueError("it has no title, subset and rows")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not a table of an ablation ({error}); name a .json file in the folder tables of "
            "the results"
        ) from None
    return table


def table_text(table: Mapping[str, Any]) -> str:
    """Write title, caption and table in Markdown."""
    entries = table["rows"]
    return (
        f"### {table['title']}\n\n{caption(table['subset'], versions_of(entries))}\n\n"
        f"{markdown_table(entries)}\n"
    )


def caption(subset: str, codes: Sequence[str]) -> str:
    """Say what the table shows."""
    versions = f" Code version {', '.join(codes)}." if codes else ""
    return (
        f"All-search single-shot on the {WHO[subset]}, percent: mean ± standard deviation over the seeds. "
        f"Differences are in points, of runs with the same seed, with their {LEVEL}% interval (bootstrap "
        "over seeds and identities; with one seed, over the identities alone, which is too narrow). Seconds: "
        f"mean time of a training.{versions}"
    )


def _reached(own: Mapping[int, Record], subset: str, ranking: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"seeds": sorted(own)}
    for figure in FIGURES if own else ():
        values = [own[seed].scores[subset][ranking].mean(figure) for seed in sorted(own)]
        mean, deviation = mean_and_deviation(values)
        entry[figure] = {"mean": mean, "std": deviation, "values": values}
    if own:
        entry["codes"] = sorted({record.code for record in own.values()})
        entry["steps"] = next(iter(own.values())).steps
        entry["train_seconds"] = float(np.mean([record.train_seconds for record in own.values()]))
    return entry


def _label(name: str, ranking: str) -> str:
    return name if ranking == PLAIN else f"{name} + {ranking}"


def _compared(
    own: Mapping[int, Record], row: SuiteRow, other: Mapping[int, Record], subset: str, ranking: str
) -> dict[str, Any]:
    """Compare with the same ranking of the other row; with its plain one where it has no such, or
    where the row shows one ranking alone."""
    seeds = sorted(set(own) & set(other))
    if not seeds:
        return {}
    theirs = [other[seed].scores[subset] for seed in seeds]
    same = not row.ranking and all(ranking in scores for scores in theirs)
    matched = ranking if same else PLAIN
    ours = [own[seed].scores[subset][ranking] for seed in seeds]
    gains = {
        figure: vars(paired_difference(ours, [scores[matched] for scores in theirs], figure))
        for figure in FIGURES
    }
    return {"against": _label(row.against, matched), "paired_seeds": len(seeds), "difference": gains}


def _cell(entry: Mapping[str, Any], figure: str) -> str:
    return mean_and_spread(entry[figure]["mean"], entry[figure]["std"], 1) if figure in entry else ""


def _interval(gain: Mapping[str, float]) -> str:
    difference = Difference(**gain)
    return f"{difference.mean:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]"
