"""Two models query by query: which queries got better, and which got worse."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vireid.errors import UserError
from vireid.visualize.ranking import draw_ranking, ranked_list
from vireid.visualize.scored import ScoredTrial
from vireid.visualize.style import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Comparison:
    """The average precision of two models for the same queries.

    Attributes:
        rows: (Q,) positions of the queries that count.
        first, second: (Q,) average precision in percent.
    """

    rows: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """(Q,) percent; positive where the second model is better."""
        return self.second - self.first

    def most_changed(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of at most ``count`` queries that got better, and of those that got worse, most first."""
        order = np.argsort(-self.change, kind="stable")
        better = [n for n in order[:count] if self.change[n] > 0]
        worse = [n for n in order[::-1][:count] if self.change[n] < 0]
        return self.rows[np.array(better, int)], self.rows[np.array(worse, int)]


def compare_trials(first: ScoredTrial, second: ScoredTrial) -> Comparison:
    """Compare two models.

    Raises:
        UserError: their queries or galleries differ.
    """
    for name in ("queries", "gallery"):
        paths = [[item.path for item in getattr(trial, name)] for trial in (first, second)]
        if paths[0] != paths[1]:
            raise UserError(
                f"the two models are tested on different {name}: {first.title} and {second.title}; compare "
                "them on the same test set and setting"
            )
    rows = np.flatnonzero(first.first_match)
    return Comparison(rows, *(100 * trial.average_precision[rows] for trial in (first, second)))


def comparison_figure(
    first: ScoredTrial, second: ScoredTrial, names: tuple[str, str], *, queries: int = 2, top: int = 8
) -> tuple["Figure", str]:
    """Draw the average precision of all queries, and the ranked lists of those that changed most.

    Args:
        first, second: of the same trial.
        names: of the two models.
        queries: how many that got better, and as many that got worse.
        top: gallery images in a row.

    Returns:
        The figure, and a line that says what it shows.

    Raises:
        UserError: see ``compare_trials``.
    """
    compared = compare_trials(first, second)
    change = compared.change
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    said = (
        f"{first.title}: of {len(change)} queries {better} got better with {names[1]}, {worse} worse, "
        f"{len(change) - better - worse} the same; mAP {compared.first.mean():.2f} with {names[0]}, "
        f"{compared.second.mean():.2f} with {names[1]}"
    )
    most = [(title, rows) for title, rows in zip(("gained", "lost"), compared.most_changed(queries))]
    most = [(title, rows) for title, rows in most if len(rows)]
    pictures = [_lists(first, second, rows, top) for _, rows in most]
    below = max([4.6 * picture.height / picture.width for picture in pictures], default=0.1) + 0.2
    figure = new_figure(9.5, 3.4 + below)
    grid = figure.add_gridspec(2, 2, height_ratios=[3.2, below])
    _draw_pairs(figure.add_subplot(grid[0, 0]), compared, names)
    _draw_changes(figure.add_subplot(grid[0, 1]), np.sort(change), better, worse)
    for column, ((title, _), picture) in enumerate(zip(most, pictures)):
        axis = figure.add_subplot(grid[1, column], anchor="N")
        axis.imshow(np.asarray(picture))
        axis.axis("off")
        axis.set_title(f"most {title}: {names[0]} above {names[1]} for each query", loc="left", fontsize=8)
    figure.suptitle(first.title, fontsize=9)
    return figure, said


def write_changes(first: ScoredTrial, second: ScoredTrial, path: Path) -> None:
    """Write a CSV file with a line for each query: path, identity, camera, and of both models the average
    precision in percent and the rank of the first match; the largest gain first.

    Raises:
        UserError: see ``compare_trials``.
    """
    compared = compare_trials(first, second)
    header = ["query", "identity", "camera", "AP first", "AP second", "change", "rank first", "rank second"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number in np.argsort(-compared.change, kind="stable"):
            row = compared.rows[number]
            item = first.queries[row]
            values = (compared.first[number], compared.second[number], compared.change[number])
            ranks = (int(trial.first_match[row]) for trial in (first, second))
            writer.writerow([item.path, item.pid, item.camid, *(f"{value:.2f}" for value in values), *ranks])


def _draw_pairs(axis: Any, compared: Comparison, names: tuple[str, str]) -> None:
    axis.plot([0, 100], [0, 100], color="gray", linewidth=1, linestyle="--")
    for chosen, marker, color in (
        (compared.change > 0, "^", COLORS[0]),
        (compared.change < 0, "v", COLORS[5]),
        (compared.change == 0, ".", "gray"),
    ):
        axis.scatter(
            compared.first[chosen], compared.second[chosen], s=12, marker=marker, color=color, alpha=0.6
        )
    axis.set(
        xlabel=f"{names[0]}: average precision, %",
        ylabel=f"{names[1]}: average precision, %",
        xlim=(-3, 103),
        ylim=(-3, 103),
        aspect="equal",
    )


def _draw_changes(axis: Any, change: np.ndarray, better: int, worse: int) -> None:
    places = np.arange(len(change))
    up = change > 0
    axis.fill_between(places, change, where=up, step="mid", color=COLORS[0], label=f"{better} better")
    down = {"facecolor": (COLORS[5], 0.4), "edgecolor": COLORS[5], "hatch": "////"}
    axis.fill_between(places, change, where=change < 0, step="mid", label=f"{worse} worse", **down)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.legend(frameon=False, loc="upper left")
    axis.set(xlabel="queries, sorted", ylabel="change of the average precision")


def _lists(first: ScoredTrial, second: ScoredTrial, rows: np.ndarray, top: int) -> Image.Image:
    """The lists of both models, one below the other, for each of some queries."""
    trials = [(trial, row) for row in rows for trial in (first, second)]
    return draw_ranking([ranked_list(trial.queries[row], trial.ranked(row), top) for trial, row in trials])
