"""Pictures of an ablation's table: what each row is worth beside another, or a curve over a setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthvi.ablation.scores import PLAIN
from synthvi.ablation.suite_tables import FIGURES, WHO
from vireid.errors import UserError
from vireid.visualize.style import COLORS, check_figure_path, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
OWN, OTHER = COLORS[0], COLORS[5]  # of a curve, and of what it is compared with

Entry = Mapping[str, Any]


def write_plot(table: Mapping[str, Any], path: str | Path) -> None:
    """Draw a table into a file, and print what it shows.

    Raises:
        UserError: there is nothing to draw, or no picture has such a name.
    """
    file = check_figure_path(path)
    figure, shown = ablation_figure(table)
    save(figure, file)
    print(f"{path}: {shown}")


def ablation_figure(table: Mapping[str, Any]) -> tuple["Figure", str]:
    """Draw curves, where rows are points of some; otherwise the differences between rows.

    Args:
        table: title, subset and rows, as tools/ablate.py writes them.

    Returns:
        The figure, and a line that says what it shows.

    Raises:
        UserError: there is nothing to draw.
    """
    on_curves = any(row["curve"] and row["seeds"] for row in table["rows"])
    return (curve_figure if on_curves else difference_figure)(table)


def difference_figure(table: Mapping[str, Any]) -> tuple["Figure", str]:
    """Draw paired differences with their intervals, in a group for each row that others are compared with.

    A dot is filled where its interval leaves out zero.

    Raises:
        UserError: no row has a difference.
    """
    rows = [row for row in table["rows"] if row.get("difference")]
    if not rows:
        raise UserError(f"{table['title']}: no two rows with seeds in common; nothing to draw")
    groups: dict[str, list[Entry]] = {}
    for row in rows:
        groups.setdefault(row["against"], []).append(row)
    lines: list[tuple[str, Entry | None]] = []
    for against, members in groups.items():
        lines += [(f"compared with “{against}”", None), *((row["label"], row) for row in members)]
    figure = new_figure(7.2, 1.3 + 0.26 * len(lines))
    axes = figure.subplots(1, len(FIGURES), sharex=True, sharey=True)
    for axis, name in zip(axes, FIGURES):
        axis.axvline(0, color="black", linewidth=0.8, zorder=1)
        for place, (_, row) in enumerate(lines):
            if row is not None:
                _draw_difference(axis, place, row["difference"][name])
        axis.set_xlabel(f"difference in {name}, points")
        axis.grid(axis="x", alpha=0.3)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    axes[0].set_yticks(range(len(lines)), [text for text, _ in lines])
    for tick, (_, row) in zip(axes[0].get_yticklabels(), lines):
        tick.set_style("normal" if row else "italic")
        tick.set_color("black" if row else "#555555")
    seeds = _between(row["paired_seeds"] for row in rows)
    shown = f"{WHO[table['subset']]}, {seeds}, 95% intervals"
    figure.suptitle(f"{table['title']}\n{shown}; filled: the interval leaves out zero", fontsize=9)
    return figure, f"{table['title']}: {len(rows)} difference{'s' * (len(rows) > 1)}, {shown}"


def _draw_difference(axis: Any, place: int, gain: Mapping[str, float]) -> None:
    apart = gain["low"] > 0 or gain["high"] < 0
    axis.plot([gain["low"], gain["high"]], [place, place], color=OWN, linewidth=1.6, zorder=2)
    axis.plot(
        gain["mean"],
        place,
        marker="o",
        markersize=6,
        markeredgewidth=1.4,
        color=OWN,
        markerfacecolor=OWN if apart else "white",
        zorder=3,
    )


def curve_figure(table: Mapping[str, Any]) -> tuple["Figure", str]:
    """Draw the figures over each setting, without re-ranking: the mean over the seeds, a band of one standard
    deviation to either side, each seed, and what the curve is compared with as a horizontal line with a band
    of its own.

    Raises:
        UserError: no row is a point of a curve.
    """
    curves: dict[str, list[Entry]] = {}
    for row in table["rows"]:
        if row["curve"] and row["seeds"] and row["ranking"] == PLAIN:
            curves.setdefault(row["curve"][0], []).append(row)
    if not curves:
        raise UserError(f"{table['title']}: no row is a point of a curve; nothing to draw")
    figure = new_figure(max(4.2, 1.0 + 2.6 * len(curves)), 5.0)
    axes = figure.subplots(len(FIGURES), len(curves), sharex="col", sharey="row", squeeze=False)
    for column, (name, points) in zip(axes.T, curves.items()):
        points = sorted(points, key=lambda row: row["curve"][1])
        against = {row.get("against") for row in points}
        other = next((row for row in table["rows"] if row["label"] in against), None)
        for axis, metric in zip(column, FIGURES):
            _draw_curve(axis, points, metric)
            if other is not None:
                _draw_level(axis, other, metric)
            axis.grid(alpha=0.3)
        column[-1].set_xlabel(_symbol(name))
        column[-1].set_xticks([row["curve"][1] for row in points], _ticks(points), fontsize=8)
    for axis, metric in zip(axes[:, 0], FIGURES):
        axis.set_ylabel(f"{metric}, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    seeds = _between(len(row["seeds"]) for points in curves.values() for row in points)
    shown = f"{WHO[table['subset']]}, plain ranking", f"{seeds}, bands of one standard deviation"
    figure.suptitle("\n".join([table["title"], *shown]), fontsize=9)
    return figure, f"{table['title']}: curves over {', '.join(curves)}, {', '.join(shown)}"


def _draw_curve(axis: Any, points: Sequence[Entry], metric: str) -> None:
    places = [row["curve"][1] for row in points]
    means = np.array([row[metric]["mean"] for row in points])
    deviations = np.array([row[metric]["std"] or 0.0 for row in points])
    axis.fill_between(places, means - deviations, means + deviations, color=OWN, alpha=0.18, linewidth=0)
    for place, row in zip(places, points):
        values = row[metric]["values"]
        axis.plot([place] * len(values), values, linestyle="", marker=".", markersize=4, color="gray")
    axis.plot(places, means, color=OWN, marker="o", markersize=5, linewidth=1.6, label="mean over the seeds")
    axis.plot([], [], linestyle="", marker=".", markersize=4, color="gray", label="one seed")


def _draw_level(axis: Any, other: Entry, metric: str) -> None:
    mean, deviation = other[metric]["mean"], other[metric]["std"] or 0.0
    band = {"facecolor": "none", "edgecolor": (*_rgb(OTHER), 0.35), "hatch": "////", "linewidth": 0}
    axis.axhspan(mean - deviation, mean + deviation, **band)
    axis.axhline(mean, color=OTHER, linestyle="--", linewidth=1.4, label=other["label"])


def _rgb(color: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(color)


def _symbol(name: str) -> str:
    """λ₁ for "lambda 1"; other names as they are."""
    word, _, number = name.partition(" ")
    return f"λ{number.translate(SUBSCRIPTS)}" if word == "lambda" else name


def _ticks(points: Sequence[Entry]) -> list[str]:
    return [f"{row['curve'][1]:g}" for row in points]


def _between(counts: Any) -> str:
    """Say how many seeds: "3 seeds", or "1 to 3 seeds" where they differ."""
    found = sorted(set(counts))
    text = str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
    return f"{text} seed" if found == [1] else f"{text} seeds"
