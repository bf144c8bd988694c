"""Says whether the figures of a reproduction agree with published ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student
from tabulate import tabulate

from synthvi.ablation.statistics import LEVEL
from synthvi.ablation.suite_tables import FIGURES
from vireid.errors import UserError

RULE = (
    f"Two means agree if their distance is at most half the width of the {LEVEL}% interval of their "
    "difference (Welch's t, over the seeds)."
)

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Agreement:
    """A mean beside the published one, in percent or points.

    Attributes:
        what: the row, or the two rows whose difference it is.
        tolerance: how far apart the means may be.
    """

    what: str
    figure: str
    ours: float
    published: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Say whether the means are as near as the rule says."""
        return abs(self.ours - self.published) <= self.tolerance + 1e-9


def compare_tables(ours: Mapping[str, Any], published: Mapping[str, Any]) -> list[Agreement]:
    """Compare each row of a table, and each difference between two of its rows, with a published table.

    Args:
        ours, published: as ``synthvi.ablation.suite_tables.write_table`` returns them.

    Raises:
        UserError: a row is not in the published table, or has less than two seeds in either.
    """
    mine, theirs = ({row["label"]: row for row in table["rows"]} for table in (ours, published))
    compared = []
    for label, row in mine.items():
        if label not in theirs:
            raise UserError(f"the published table {published['title']!r} has no row {label!r}")
        for figure in FIGURES:
            values = _values(row, figure), _values(theirs[label], figure)
            compared.append(_compare(label, figure, *values))
    for label, row in mine.items():
        against = row.get("against")
        if against in mine and against in theirs:
            for figure in FIGURES:
                gains = [_gains(rows[label], rows[against], figure) for rows in (mine, theirs)]
                compared.append(_compare(f"{label} - {against}", figure, *gains))
    return compared


def agreement_table(compared: Sequence[Agreement]) -> str:
    """Write the comparisons as a table in Markdown."""
    lines = [
        [
            c.what,
            c.figure,
            f"{c.ours:.1f}",
            f"{c.published:.1f}",
            f"{c.ours - c.published:+.1f}",
            f"{c.tolerance:.1f}",
            "yes" if c.agrees else "NO",
        ]
        for c in compared
    ]
    headers = ["row", "figure", "here", "published", "apart", "allowed", "agrees"]
    return tabulate(lines, headers=headers, tablefmt="pipe", disable_numparse=True)


def tolerance(first: Sequence[float], second: Sequence[float]) -> float:
    """Half the width of the interval of LEVEL percent of the difference of two means, by Welch's t.

    Args:
        first, second: two values or more each.
    """
    shares = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    if not sum(shares):
        return 0.0
    parts = [share**2 / (len(values) - 1) for share, values in zip(shares, (first, second))]
    freedom = sum(shares) ** 2 / sum(parts)
    return float(student.ppf(0.5 + LEVEL / 200, freedom)) * math.sqrt(sum(shares))


def _values(row: Entry, figure: str) -> list[float]:
    return list(row[figure]["values"]) if row["seeds"] else []


def _gains(row: Entry, against: Entry, figure: str) -> list[float]:
    """Subtract two rows for each seed of both."""
    mine, theirs = (dict(zip(entry["seeds"], _values(entry, figure))) for entry in (row, against))
    return [mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())]


def _compare(what: str, figure: str, ours: Sequence[float], published: Sequence[float]) -> Agreement:
    for name, values in (("this table", ours), ("the published table", published)):
        if len(values) < 2:
            raise UserError(f"{what}: {len(values)} seeds in {name}; a comparison needs two or more of each")
    means = float(np.mean(ours)), float(np.mean(published))
    return Agreement(what, figure, *means, tolerance(ours, published))
