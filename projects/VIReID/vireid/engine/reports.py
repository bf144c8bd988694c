"""What an evaluation leaves: a table, results.json, and the figure that decides which model is the best."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vireid.evaluation.open_set import OperatingPoint
from vireid.evaluation.protocols import ProtocolResult, Setting
from vireid.files import write_atomically
from vireid.runs import BEST_RESULTS, RESULTS

DIRECTIONS = {"i2v": "infrared queries, visible gallery", "v2i": "visible queries, infrared gallery"}


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a results table: the figures of a setting, and what made them.

    Attributes:
        setting: whose trials were scored.
        reranking: what re-ranked the galleries, "" for nothing.
        metric: "cosine" or "euclidean".
        flip: whether features of mirrored images were averaged in.
        result: the figures in percent.
        normalized: whether distances were brought to one scale in each modality (TEST.MODALITY_NORM).
        open_set: of each trial, a point for each rate of TEST.OPEN_SET.
    """

    setting: Setting
    reranking: str
    metric: str
    flip: bool
    result: ProtocolResult
    normalized: bool = False
    open_set: Sequence[Sequence[OperatingPoint]] = ()

    @property
    def name(self) -> str:
        """The setting's name, followed by the re-ranker's."""
        return row_name(self.setting, self.reranking)

    @property
    def counts(self) -> dict[str, list[int]]:
        """Queries, those of them that have a match, and gallery images: the least and the most over the
        trials. Empty where they are not known."""
        result = self.result
        if not result.num_queries:
            return {}
        gallery = [len(trial.gallery) for trial in self.setting.trials]
        counts = {"queries": result.num_queries, "with a match": result.num_valid_queries, "gallery": gallery}
        return {name: [min(values), max(values)] for name, values in counts.items()}

    @property
    def conditions(self) -> dict[str, Any]:
        """What made the figures, as plain values; of a mixed gallery, also how it is mixed."""
        direction = DIRECTIONS.get(self.setting.direction, self.setting.direction)
        mixed: dict[str, Any] = {}
        if self.setting.mixed:
            direction = f"{direction.partition(',')[0]}, gallery of both modalities"
        if self.setting.mixed is not None:
            mixed = {"own modality in the gallery": self.setting.mixed, "normalized": self.normalized}
        return {
            "direction": direction,
            "draw": self.setting.draw,
            "trials": len(self.setting.trials),
            "cmc": "of identities" if self.setting.unique_pids else "of images",
            "metric": self.metric,
            "flip": self.flip,
            "re-ranking": self.reranking or "none",
            **mixed,
        }


def row_name(setting: Setting, reranking: str) -> str:
    """ "all-search single-shot", or "all-search single-shot + MSER"."""
    return f"{setting.name} + {reranking}" if reranking else setting.name


def results_table(results: Mapping[str, Sequence[Row]], about: Mapping[str, Any]) -> str:
    """Lines that say what made the figures, and a table with a row for each dataset and setting.

    Args:
        results: dataset -> rows.
        about: of the model: "weights", "epoch", "selected_by".

    Returns:
        Text; mean ± standard deviation where trials are several.
    """
    lines = [_model_line(about)] if about else []
    metrics = list(
        dict.fromkeys(name for rows in results.values() for row in rows for name in row.result.mean)
    )
    table = []
    for dataset, rows in results.items():
        settings: dict[str, dict[str, None]] = defaultdict(dict)
        for row in rows:
            settings[_stated(row)][row.setting.name] = None
            settings[_counted(row)][row.setting.name] = None
        lines += [f"{dataset}, {', '.join(names)}: {stated}" for stated, names in settings.items() if stated]
        for row in rows:
            several = len(row.result.trials) > 1
            cells = [
                f"{row.result.mean[name]:.2f}" + (f" ± {row.result.std[name]:.2f}" if several else "")
                if name in row.result.mean
                else ""
                for name in metrics
            ]
            table.append([dataset, row.setting.name, row.reranking or "none", len(row.result.trials), *cells])
    headers = ["dataset", "setting", "re-ranking", "trials", *metrics]
    return "\n".join([*lines, tabulate(table, headers=headers, tablefmt="pipe", stralign="right")])


def _stated(row: Row) -> str:
    conditions = row.conditions
    flip = "flipped images averaged in" if row.flip else "no flip"
    stated = [conditions["direction"], row.setting.draw, f"CMC {conditions['cmc']}", row.metric, flip]
    return "; ".join([*stated, "distances normalized by modality"] if row.normalized else stated)


def _counted(row: Row) -> str:
    """How many queries count, and among how many gallery images they look."""
    spans = {
        name: f"{least}" if least == most else f"{least} to {most}"
        for name, (least, most) in row.counts.items()
    }
    if not spans:
        return ""
    matched, queries, gallery = spans["with a match"], spans["queries"], spans["gallery"]
    return f"{matched} of {queries} queries have a match; gallery of {gallery} images"


def _model_line(about: Mapping[str, Any]) -> str:
    weights = about.get("weights")
    model = (
        f"weights {weights}" if weights else ("untrained weights" if weights == "" else "this run's model")
    )
    epoch = "" if about.get("epoch") is None else f", epoch {about['epoch']}"
    chosen = about.get("selected_by")
    return f"{model}{epoch}" + (f", chosen on the test set by {chosen}" if chosen else "")


def results_record(results: Mapping[str, Sequence[Row]], about: Mapping[str, Any]) -> dict[str, Any]:
    """What results.json holds: ``about``; under "results", each row's conditions, mean, std and trials."""
    record = {
        dataset: {
            row.name: {
                "conditions": row.conditions,
                "counts": row.counts,
                "mean": row.result.mean,
                "std": row.result.std,
                "trials": row.result.trials,
                **({"open_set": open_set_record(row.open_set)} if row.open_set else {}),
            }
            for row in rows
        }
        for dataset, rows in results.items()
    }
    return {**about, "results": record}


def open_set_record(trials: Sequence[Sequence[OperatingPoint]]) -> list[dict[str, Any]]:
    """For each rate of false alarms, the mean threshold and rates of the trials, and each trial's."""
    return [
        {
            "false_alarms_asked": points[0].asked,
            **{
                name: sum(getattr(point, name) for point in points) / len(points)
                for name in ("threshold", "false_alarms", "detected")
            },
            "thresholds": [point.threshold for point in points],
        }
        for points in zip(*trials)
    ]


def write_results(path: Path, record: dict[str, Any]) -> None:
    """Write results.json, indented."""
    text = json.dumps(record, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def last_and_best(folder: Path, figure: str, last: float | None, best: float | None) -> str:
    """Which file of a run is of the last epoch and which of the best, and what they reach, in words.

    Args:
        figure: TEST.BEST_METRIC.
        last, best: its value at the last epoch and at the best, in percent; None where it was not measured.
    """
    lines = []
    if last is not None:
        epoch = json.loads((folder / RESULTS).read_text())["epoch"]
        lines.append(f"last epoch ({epoch}): {figure} {last:.2f}, in model_final.pth and {RESULTS}")
    if best is not None and (folder / BEST_RESULTS).is_file():
        epoch = json.loads((folder / BEST_RESULTS).read_text())["epoch"]
        lines.append(
            f"best epoch ({epoch}), chosen on the test set: {figure} {best:.2f}, in model_best.pth and "
            f"{BEST_RESULTS}"
        )
    return "\n".join(lines)


def flat_means(results: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, dict[str, float]]]:
    """dataset -> row -> metric -> mean in percent."""
    return {dataset: {row.name: dict(row.result.mean) for row in rows} for dataset, rows in results.items()}


def best_metric(means: dict[str, dict[str, dict[str, float]]], figures: str) -> float:
    """The mean of the figures that TEST.BEST_METRIC lists.

    Args:
        means: of ``flat_means``.
        figures: METRIC, ROW/METRIC or DATASET/ROW/METRIC; several are separated by commas.

    Raises:
        KeyError: no such dataset or row.
    """
    values = [means[dataset][row][metric] for dataset, row, metric in figure_paths(means, figures)]
    return sum(values) / len(values)


def figure_paths(rows: Mapping[str, Iterable[str]], figures: str) -> list[tuple[str, str, str]]:
    """Dataset, row and metric of each figure that TEST.BEST_METRIC lists.

    Args:
        rows: dataset -> names of its rows.
    """
    paths = []
    for figure in listed(figures):
        *path, metric = figure.split("/")
        dataset = path[0] if len(path) == 2 else next(iter(rows))
        paths.append((dataset, path[-1] if path else next(iter(rows[dataset])), metric))
    return paths


def listed(figures: str) -> list[str]:
    """The figures that TEST.BEST_METRIC lists."""
    return [figure.strip() for figure in figures.split(",")]
