"""What runs have reached: read from their folders, and gathered over seeds and splits."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml

from vireid.config.rules import leaves
from vireid.errors import UserError
from vireid.runs import BEST_RESULTS, RESULTS

FILES = {"last": RESULTS, "best": BEST_RESULTS}
SEED, SPLIT = "SEED", "DATASETS.REGDB.SPLIT"
# Keys in which runs of one recipe may differ.
OF_A_RUN = frozenset({SEED, SPLIT, "OUTPUT_DIR", "MODEL.WEIGHTS", "MODEL.HEADS.NUM_CLASSES", "MODEL.DEVICE"})


@dataclass(frozen=True)
class Result:
    """One row of one results file.

    Attributes:
        run: the folder or file that was named.
        dataset, row: as in the results table.
        which: "last" or "best" epoch of a training, "evaluated" where ``vireid evaluate`` wrote the file.
        epoch: its number; None where it is not known.
        metrics: name -> mean over the trials, in percent.
        config: key -> value, with dots in the keys; empty where there is no config.yaml beside the file.
    """

    run: str
    dataset: str
    row: str
    which: str
    epoch: int | None
    metrics: dict[str, float]
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Gathered:
    """The results of some runs that differ in seed or split alone, for one row.

    Attributes:
        name: of the runs, for a table.
        results: one of each run.
    """

    name: str
    results: list[Result]

    @property
    def epochs(self) -> str:
        """Name the epoch of the figures: "last (19)"."""
        numbers = sorted({result.epoch for result in self.results if result.epoch is not None})
        return self.results[0].which + (f" ({', '.join(map(str, numbers))})" if numbers else "")

    @property
    def number(self) -> str:
        """Count the runs: "3 seeds", "10 splits", "1"."""
        count = len(self.results)
        for key, noun in ((SPLIT, "splits"), (SEED, "seeds")):
            if count > 1 and len({str(result.config.get(key)) for result in self.results}) == count:
                return f"{count} {noun}"
        return f"{count} runs" if count > 1 else "1"

    @property
    def metrics(self) -> list[str]:
        """List the metrics that all runs have."""
        every = [result.metrics for result in self.results]
        return [name for name in every[0] if all(name in metrics for metrics in every)]

    def mean(self, metric: str) -> float:
        """Average over the runs."""
        return fmean(result.metrics[metric] for result in self.results)

    def spread(self, metric: str) -> float | None:
        """Compute the sample standard deviation over the runs; None of a single one."""
        if len(self.results) < 2:
            return None
        return stdev(result.metrics[metric] for result in self.results)

    def cell(self, metric: str, digits: int) -> str:
        """Write the figure for a table: "43.3 ± 0.4", or "43.3" of a single run."""
        return mean_and_spread(self.mean(metric), self.spread(metric), digits)


def mean_and_spread(mean: float, spread: float | None, digits: int) -> str:
    """Write a mean and, where there is one, a deviation: "43.3 ± 0.4"."""
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def read_results(path: Path, which: Iterable[str] = ("last",)) -> list[Result]:
    """Read the rows of a run.

    Args:
        path: a run's folder, the folder ``eval`` of an evaluation, or a results file.
        which: "last", "best" or both; an evaluation is taken for either.

    Raises:
        UserError: nothing to read there, or not a results file.
    """
    files = {path.name: path} if path.is_file() else {FILES[name]: path / FILES[name] for name in which}
    found = [file for file in files.values() if file.is_file()]
    last = path / FILES["last"]
    if not found and last.is_file() and "weights" in read_results_file(last):
        found = [last]
    if not found:
        expected = " or ".join(files)
        raise UserError(f"{path}: no {expected}; name the output folder of a run, or a results file")
    config = _read_config(found[0].with_name("config.yaml"))
    results = []
    for file in found:
        record = read_results_file(file)
        label = "evaluated" if "weights" in record else record.get("which", "last")
        for dataset, rows in record["results"].items():
            for row, content in rows.items():
                epoch = record.get("epoch")
                results.append(Result(str(path), dataset, row, label, epoch, content["mean"], config))
    return results


def read_results_file(path: Path) -> dict[str, Any]:
    """Read what a training or an evaluation wrote.

    Raises:
        UserError: it is something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("results"), dict):
        raise UserError(f'{path} has no "results"; expected a file that vireid train or evaluate wrote')
    return record


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(leaves(yaml.safe_load(path.read_text(encoding="utf-8")) or {}))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def by_row(results: Sequence[Result]) -> dict[tuple[str, str], Gathered]:
    """Group results by (dataset, row), in the order in which the rows were found first."""
    rows: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        rows.setdefault((result.dataset, result.row), []).append(result)
    return {row: Gathered("", found) for row, found in rows.items()}


def gather(results: Sequence[Result], *, every_run: bool = False) -> list[Gathered]:
    """Make one row of those of runs whose configs differ in seed and split alone.

    Args:
        every_run: whether each run has a row of its own instead.
    """
    runs: dict[Any, list[str]] = {}
    rows: dict[Any, dict[Any, list[Result]]] = {}
    for result in results:
        recipe = {key: value for key, value in result.config.items() if key not in OF_A_RUN}
        alone = every_run or not result.config
        recipe_key = result.run if alone else json.dumps(recipe, sort_keys=True, default=str)
        runs.setdefault(recipe_key, [])
        if result.run not in runs[recipe_key]:
            runs[recipe_key].append(result.run)
        # Rows of one setting stand together, in the order in which they were found first.
        setting = rows.setdefault((result.dataset, result.row), {})
        setting.setdefault((recipe_key, result.which), []).append(result)
    return [
        Gathered(_name(runs[recipe_key]), found)
        for setting in rows.values()
        for (recipe_key, _), found in setting.items()
    ]


def _name(runs: Sequence[str]) -> str:
    """Name several runs: the first, and how many more."""
    return runs[0] + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")


def differences(rows: Sequence[Gathered]) -> dict[str, dict[str, Any]]:
    """Find the config keys in which runs differ: key -> name of the runs -> value, None for a missing one."""
    configs = {row.name: row.results[0].config for row in rows if row.results[0].config}
    keys = dict.fromkeys(key for config in configs.values() for key in config if key not in OF_A_RUN)
    found = {key: {name: config.get(key) for name, config in configs.items()} for key in keys}
    return {key: values for key, values in found.items() if len({str(v) for v in values.values()}) > 1}
