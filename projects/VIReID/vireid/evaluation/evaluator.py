"""From a model to the table of results of a test set."""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastreid.utils import comm
from tabulate import tabulate
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm
from yacs.config import CfgNode

from vireid.data import build_test_loader
from vireid.errors import ConfigError
from vireid.evaluation.protocols import ProtocolResult, Setting, Trial, evaluate_settings
from vireid.evaluation.rerankers import Distance, ToolkitReranker, build_reranker
from vireid.evaluation.roc import verification_rates
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.evaluator")

CHANNELS = {"red": 0, "green": 1, "blue": 2}


def check_evaluation(cfg: CfgNode, datasets: dict[str, Any]) -> None:
    """Find before training what an evaluation would fail at: test lists, re-ranker, TEST.BEST_METRIC.

    Args:
        datasets: the test sets by name.

    Raises:
        ConfigError, DatasetError: see ``evaluate_dataset``, and a TEST.BEST_METRIC that names no setting.
    """
    rows = []
    for name, dataset in datasets.items():
        settings = dataset_settings(cfg, dataset, name)
        rows += [f"{name}/{setting.name}" for setting in settings]
        if reranker := build_reranker(cfg, name):
            reranker.check(settings)
    path = cfg.TEST.BEST_METRIC.rpartition("/")[0]
    if path and path not in rows and f"{next(iter(datasets), '')}/{path}" not in rows:
        raise ConfigError(f"TEST.BEST_METRIC is {cfg.TEST.BEST_METRIC!r}; the settings are {', '.join(rows)}")


def dataset_settings(cfg: CfgNode, dataset: Any, name: str) -> tuple[Setting, ...]:
    """The settings of a test set, with DATASETS.TRIALS trials.

    Raises:
        ConfigError: a dataset without a cross-modality protocol (the toolkit's own).
    """
    if not hasattr(dataset, "settings"):
        raise ConfigError(f"DATASETS.TESTS has {name}, which has no cross-modality protocol")
    settings: tuple[Setting, ...] = dataset.settings(cfg.DATASETS.TRIALS)
    return settings


def evaluate_dataset(cfg: CfgNode, model: nn.Module, dataset: Any, name: str) -> dict[str, ProtocolResult]:
    """Score a model on all settings of a dataset.

    Args:
        cfg: TEST, INPUT.SIZE_TEST, DATASETS.TRIALS.
        model: the meta-architecture, maybe wrapped for several processes; left in the mode it was in.
        dataset: of ``vireid.data.build_dataset``.
        name: its name in DATASETS.TESTS.

    Returns:
        The result of each setting; empty on every process but the first.

    Raises:
        ConfigError: a dataset without a cross-modality protocol (the toolkit's own).
    """
    reranker = build_reranker(cfg, name)
    settings = dataset_settings(cfg, dataset, name)
    used = used_positions(settings)
    items = [dataset.test[position] for position in used]
    loader = build_test_loader(cfg, items)
    started = time.perf_counter()
    views = reranker.views if reranker else ("image",)
    features = extract_features(model, loader, views=views, flip=cfg.TEST.FLIP.ENABLED, title=name)
    if not comm.is_main_process():
        return {}
    extracted = time.perf_counter()
    settings = renumbered(settings, used)
    distance = reranker.bind(features) if reranker else None
    pids = np.array([item.pid for item in items])
    results = evaluate_settings(
        features["image"],
        pids,
        settings,
        metric=cfg.TEST.METRIC,
        distance=distance,
        names=[item.path for item in items],
    )
    if cfg.TEST.ROC.ENABLED:
        distance = distance or ToolkitReranker(cfg.TEST.METRIC, None, None).bind(features)
        results = with_verification_rates(results, pids, settings, distance)
    trials = sum(len(setting.trials) for setting in settings)
    scored = time.perf_counter()
    logger.info(
        f"{name}: features of {len(items)} images in {extracted - started:.1f} s, "
        f"{trials} trials in {scored - extracted:.1f} s"
    )
    return results


def with_verification_rates(
    results: dict[str, ProtocolResult], pids: np.ndarray, settings: tuple[Setting, ...], distance: Distance
) -> dict[str, ProtocolResult]:
    """The results with the rates of TEST.ROC beside the metrics, in percent."""
    extended = {}
    for setting in settings:
        rows = []
        for trial, metrics in zip(setting.trials, results[setting.name].trials):
            labels = pids[trial.query], pids[trial.gallery]
            rates = verification_rates(distance(trial, setting), *labels, exclude=trial.exclude())
            rows.append({**metrics, **{name: 100 * rate for name, rate in rates.items()}})
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        mean = {name: float(np.mean(values)) for name, values in columns.items()}
        std = {name: float(np.std(values)) for name, values in columns.items()}
        extended[setting.name] = ProtocolResult(mean, std, rows)
    return extended


def used_positions(settings: tuple[Setting, ...]) -> np.ndarray:
    """Ascending positions of the test images that some trial uses: only those are extracted."""
    trials = [trial for setting in settings for trial in setting.trials]
    return np.unique(np.concatenate([part for trial in trials for part in (trial.query, trial.gallery)]))


def renumbered(settings: tuple[Setting, ...], used: np.ndarray) -> tuple[Setting, ...]:
    """The settings with positions that index the images of ``used`` instead of all test images."""

    def renumber(trial: Trial) -> Trial:
        query, gallery = (np.searchsorted(used, part) for part in (trial.query, trial.gallery))
        return Trial(query, gallery, trial.query_keys, trial.gallery_keys)

    cache: dict[int, np.ndarray] = {}

    def shared(trial: Trial) -> Trial:
        # Trials that share one query array go on sharing it: they are then scored in one pass.
        new = renumber(trial)
        query = cache.setdefault(id(trial.query), new.query)
        return Trial(query, new.gallery, new.query_keys, new.gallery_keys)

    return tuple(
        Setting(setting.name, tuple(map(shared, setting.trials)), setting.unique_pids, setting.direction)
        for setting in settings
    )


@torch.no_grad()
def extract_features(
    model: nn.Module,
    loader: DataLoader,
    *,
    views: tuple[str, ...] = ("image",),
    flip: bool = False,
    title: str = "",
) -> dict[str, Tensor]:
    """Embeddings of a loader's images.

    Args:
        model: returns (N, D) embeddings for a batch in evaluation mode.
        loader: each process of a distributed run has its shard.
        views: "image", and channels of visible images; an infrared image has three equal channels, so
            its embedding is the same in every view and is computed once.
        flip: average each embedding with that of the mirrored image.
        title: of the progress bar.

    Returns:
        view -> (N, D) float32 on the CPU, in the order of the shards; None-free on the first process,
        its own shard on the others.
    """
    training = model.training
    model.eval()
    collected: dict[str, list[Tensor]] = {view: [] for view in views}
    progress = tqdm(
        loader,
        desc=f"{title} features",
        unit="batch",
        leave=False,
        disable=not (comm.is_main_process() and sys.stderr.isatty()),
    )
    for batch in progress:
        plain = _embed(model, batch, flip)
        visible = torch.nonzero(batch["modalities"] == Modality.VISIBLE).flatten()
        for view in views:
            embeddings = plain
            if view != "image" and len(visible):
                channel = batch["images"][visible, CHANNELS[view], None].expand(-1, 3, -1, -1)
                part = {"images": channel, "modalities": batch["modalities"][visible]}
                embeddings = plain.clone()
                embeddings[visible] = _embed(model, part, flip)
            collected[view].append(embeddings)
    model.train(training)
    features = {view: torch.cat(parts) for view, parts in collected.items()}
    if comm.get_world_size() > 1:
        shards = comm.gather(features)
        if comm.is_main_process():
            features = {view: torch.cat([shard[view] for shard in shards]) for view in views}
    return features


def _embed(model: nn.Module, batch: dict[str, Any], flip: bool) -> Tensor:
    embeddings = model(batch)
    if flip:
        embeddings = (embeddings + model({**batch, "images": batch["images"].flip(3)})) / 2
    return embeddings.float().cpu()


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
