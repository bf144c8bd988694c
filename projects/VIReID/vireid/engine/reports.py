"""What an evaluation leaves: a table, results.json, and the figure that decides which model is the best."""

import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vireid.evaluation.protocols import ProtocolResult


def results_table(results: dict[str, dict[str, ProtocolResult]]) -> str:
    """A table with a row for each dataset and setting: mean ± standard deviation where trials are several."""
    rows = []
    for dataset, settings in results.items():
        for setting, result in settings.items():
            several = len(result.trials) > 1
            cells = [
                f"{mean:.2f}" + (f" ± {result.std[name]:.2f}" if several else "")
                for name, mean in result.mean.items()
            ]
            rows.append([dataset, setting, len(result.trials), *cells])
    metrics = [*next(iter(next(iter(results.values())).values())).mean]
    headers = ["dataset", "setting", "trials", *metrics]
    return tabulate(rows, headers=headers, tablefmt="pipe", stralign="right")


def results_record(results: dict[str, dict[str, ProtocolResult]], **about: Any) -> dict[str, Any]:
    """What results.json holds: ``about``, and under "results" each setting's mean, std and trials."""
    record = {
        dataset: {
            setting: {"mean": result.mean, "std": result.std, "trials": result.trials}
            for setting, result in settings.items()
        }
        for dataset, settings in results.items()
    }
    return {**about, "results": record}


def write_results(path: Path, record: dict[str, Any]) -> None:
    """Write results.json, indented."""
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(record, indent=2) + "\n")
    temporary.replace(path)


def flat_means(results: dict[str, dict[str, ProtocolResult]]) -> dict[str, dict[str, dict[str, float]]]:
    """dataset -> setting -> metric -> mean in percent."""
    return {
        dataset: {setting: dict(result.mean) for setting, result in settings.items()}
        for dataset, settings in results.items()
    }


def best_metric(means: dict[str, dict[str, dict[str, float]]], name: str) -> float:
    """The figure that TEST.BEST_METRIC names: METRIC, SETTING/METRIC or DATASET/SETTING/METRIC.

    Raises:
        KeyError: no such dataset or setting.
    """
    *path, metric = name.split("/")
    dataset = path[0] if len(path) == 2 else next(iter(means))
    setting = path[-1] if path else next(iter(means[dataset]))
    return means[dataset][setting][metric]
