"""The tables of an ablation: what each row reaches, and how it compares with another row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from vireid.ablation.records import Record
from vireid.ablation.scores import PLAIN
from vireid.ablation.statistics import LEVEL, Difference, mean_and_deviation, paired_difference
from vireid.ablation.suites import Row

FIGURES = ("Rank-1", "mAP")


def suite_table(rows: Sequence[Row], found: Mapping[str, Mapping[int, Record]], subset: str) -> list[dict]:
    """One entry for each row and ranking, as plain values.

    Args:
        rows: those to be shown.
        found: the records of these rows and of those that they are compared with, by name and seed.
        subset: "val" or "test".

    Returns:
        name, ranking, seeds, steps, train_seconds (mean), and for each figure mean, std, values; where
        the row is compared with another and they have seeds in common, against, paired_seeds and for each
        figure difference (mean, low, high).
    """
    entries = []
    for row in rows:
        own = found[row.name]
        rankings = list(next(iter(own.values())).scores[subset]) if own else [PLAIN]
        for ranking in rankings:
            entry = _reached(own, subset, ranking)
            if row.against and own:
                entry.update(_compared(own, found[row.against], subset, ranking), against=row.against)
            entries.append({"name": row.name, "ranking": ranking, "curve": row.curve, **entry})
    return entries


def markdown_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The entries as a table in Markdown."""
    headers = ["row", "seeds", *FIGURES, "compared with", *(f"difference in {f}" for f in FIGURES), "seconds"]
    lines = []
    for entry in entries:
        name = entry["name"] if entry["ranking"] == PLAIN else f"{entry['name']} + {entry['ranking']}"
        reached = [_spread(*entry[figure][:2]) if figure in entry else "" for figure in FIGURES]
        gains = entry.get("difference", {})
        compared = entry.get("against", "") if gains else ""
        if gains and entry["paired_seeds"] < len(entry["seeds"]):
            compared += f" ({entry['paired_seeds']} seeds)"
        worth = [_interval(gains[figure]) if figure in gains else "" for figure in FIGURES]
        seconds = f"{entry['train_seconds']:.0f}" if entry["seeds"] else ""
        lines.append([name, len(entry["seeds"]), *reached, compared, *worth, seconds])
    return tabulate(lines, headers=headers, tablefmt="pipe", disable_numparse=True)


def caption(subset: str, code: str) -> str:
    """What the table shows, in words."""
    who = {"val": "validation", "test": "test"}[subset]
    return (
        f"All-search single-shot on the {who} identities, percent: mean ± standard deviation over the seeds. "
        f"Differences are in points, of runs with the same seed, with their {LEVEL}% interval (bootstrap "
        f"over seeds and identities). Seconds: mean time of a training. Code version {code}."
    )


def _reached(own: Mapping[int, Record], subset: str, ranking: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"seeds": sorted(own)}
    for figure in FIGURES if own else ():
        values = [own[seed].scores[subset][ranking].mean(figure) for seed in sorted(own)]
        entry[figure] = (*mean_and_deviation(values), values)
    if own:
        entry["steps"] = next(iter(own.values())).steps
        entry["train_seconds"] = float(np.mean([record.train_seconds for record in own.values()]))
    return entry


def _compared(
    own: Mapping[int, Record], other: Mapping[int, Record], subset: str, ranking: str
) -> dict[str, Any]:
    """The difference to the same ranking of the other row, or to its plain one where it has no such."""
    seeds = sorted(set(own) & set(other))
    if not seeds:
        return {}
    theirs = [other[seed].scores[subset] for seed in seeds]
    matched = [scores.get(ranking, scores[PLAIN]) for scores in theirs]
    ours = [own[seed].scores[subset][ranking] for seed in seeds]
    gains = {figure: vars(paired_difference(ours, matched, figure)) for figure in FIGURES}
    return {"paired_seeds": len(seeds), "difference": gains}


def _spread(mean: float, deviation: float) -> str:
    return f"{mean:.1f}" if np.isnan(deviation) else f"{mean:.1f} ± {deviation:.1f}"


def _interval(gain: Mapping[str, float]) -> str:
    difference = Difference(**gain)
    return f"{difference.mean:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]"
