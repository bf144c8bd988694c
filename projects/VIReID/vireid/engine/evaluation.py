"""Evaluating a model on test sets: from a config and a model to the results of each setting."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from fastreid.utils import comm
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import build_dataset, build_test_loader
from vireid.engine.checkpoint import check_tags, load_weights, read_checkpoint
from vireid.engine.checks import dataset_settings
from vireid.engine.extraction import extract_features
from vireid.engine.models import build_model
from vireid.engine.reports import flat_means, results_record, results_table, write_results
from vireid.engine.rerankers import Distance, ToolkitReranker, build_reranker
from vireid.engine.seeds import seed_everything
from vireid.evaluation.protocols import ProtocolResult, Setting, Trial, evaluate_settings
from vireid.evaluation.roc import verification_rates

logger = logging.getLogger("fastreid.vireid.evaluation")


def evaluate_weights(cfg: CfgNode) -> dict[str, Any]:
    """Evaluate MODEL.WEIGHTS on DATASETS.TESTS; the untrained model where it is empty.

    Returns:
        dataset -> setting -> metric in percent.

    Raises:
        CheckpointError: it cannot be read or does not fit, or is of another RegDB split.
    """
    return evaluate_model(cfg, load_for_evaluation(cfg), weights=cfg.MODEL.WEIGHTS)


def load_for_evaluation(cfg: CfgNode) -> nn.Module:
    """The model of MODEL.WEIGHTS, or the untrained one where it is empty, with a warning.

    The number of classes is the checkpoint's: no training set is needed.

    Raises:
        CheckpointError: it cannot be read or does not fit, or is of another RegDB split.
    """
    cfg = cfg.clone()
    cfg.defrost()
    seed_everything(cfg.SEED)
    source = cfg.MODEL.WEIGHTS
    if not source:
        logger.warning("MODEL.WEIGHTS is empty: evaluating a model that is not trained")
        return build_model(cfg)
    content = read_checkpoint(source)
    check_tags(content, [build_dataset(cfg, name) for name in cfg.DATASETS.TESTS], source)
    classifier = content["model"].get("heads.weight")
    if classifier is not None and classifier.ndim:
        cfg.MODEL.HEADS.NUM_CLASSES = len(classifier)
    cfg.MODEL.BACKBONE.PRETRAIN = False
    model = build_model(cfg)
    load_weights(model, content["model"], source, strict=cfg.MODEL.WEIGHTS_STRICT)
    return model


def evaluate_model(cfg: CfgNode, model: nn.Module, **about: Any) -> dict[str, Any]:
    """Evaluate on DATASETS.TESTS: a table in the log, results.json in OUTPUT_DIR.

    Args:
        model: the meta-architecture, maybe wrapped for several processes; left in the mode it was in.
        about: plain values that results.json records.

    Returns:
        dataset -> setting -> metric in percent; empty on every process but the first.
    """
    results = {
        name: evaluate_dataset(cfg, model, build_dataset(cfg, name), name) for name in cfg.DATASETS.TESTS
    }
    if not comm.is_main_process():
        return {}
    logger.info(f"Results in percent:\n{results_table(results)}")
    os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    write_results(Path(cfg.OUTPUT_DIR) / "results.json", results_record(results, **about))
    return flat_means(results)


def evaluate_dataset(cfg: CfgNode, model: nn.Module, dataset: Any, name: str) -> dict[str, ProtocolResult]:
    """Score a model on all settings of a dataset.

    Args:
        cfg: TEST, INPUT.SIZE_TEST, DATASETS.TRIALS.
        model: as of ``evaluate_model``.
        dataset: of ``vireid.data.build_dataset``.
        name: its name in DATASETS.TESTS.

    Returns:
        The result of each setting; empty on every process but the first.

    Raises:
        ConfigError: a dataset without a cross-modality protocol (the toolkit's own).
    """
    reranker = build_reranker(cfg)
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
        distance = distance or ToolkitReranker(cfg.TEST.METRIC).bind(features)
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

    return tuple(
        Setting(setting.name, tuple(map(renumber, setting.trials)), setting.unique_pids, setting.direction)
        for setting in settings
    )
