"""Evaluating a model on test sets: from a config and a model to the results of each setting."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fastreid.utils import comm
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import build_dataset, build_test_loader
from vireid.engine.checkpoints.checkpoint import check_tags, load_weights, read_checkpoint
from vireid.engine.checks import dataset_settings
from vireid.engine.evaluation_sets import EvaluationSet, read_evaluation_sets
from vireid.engine.extraction import (
    NotFiniteFeaturesError,
    check_feature_file,
    extract_features,
    feature_file,
    write_features,
)
from vireid.engine.interruptions import machine_errors
from vireid.engine.models import build_model
from vireid.engine.reports import (
    RESULTS,
    Row,
    flat_means,
    results_record,
    results_table,
    write_results,
)
from vireid.engine.rerankers import Reranker, build_reranker
from vireid.engine.scoring import Extracted, embedded_images, renumbered, score, used_positions
from vireid.engine.seeds import seed_everything
from vireid.errors import ConfigError, UserError
from vireid.evaluation.features import count_alike, require_finite_features
from vireid.evaluation.protocols import Setting
from vireid.evaluation.tracks import mean_of_tracks

logger = logging.getLogger("fastreid.vireid.evaluation")


def evaluate_weights(cfg: CfgNode, save_features: str | None = None) -> dict[str, Any]:
    """Evaluate MODEL.WEIGHTS on DATASETS.TESTS; the untrained model where it is empty.

    Args:
        save_features: a file for the features of all test images, see ``vireid.engine.extraction``.

    Returns:
        dataset -> row -> metric in percent.

    Raises:
        CheckpointError: it cannot be read or does not fit, or is of another RegDB split.
        MachineError: a full disk, a data worker that was killed.
    """
    if save_features:
        check_feature_file(save_features)
    model, about = _load(cfg)
    with machine_errors(cfg.OUTPUT_DIR, "once that is mended, evaluate again"):
        return evaluate_model(cfg, model, save_features=save_features, **about)


def load_for_evaluation(cfg: CfgNode) -> nn.Module:
    """The model of MODEL.WEIGHTS, or the untrained one where it is empty, with a warning.

    The number of classes is the checkpoint's: no training set is needed.

    Raises:
        CheckpointError: it cannot be read or does not fit, or is of another RegDB split.
    """
    return _load(cfg)[0]


def _load(cfg: CfgNode) -> tuple[nn.Module, dict[str, Any]]:
    """The model of MODEL.WEIGHTS, and what the file says about it."""
    cfg = cfg.clone()
    cfg.defrost()
    seed_everything(cfg.SEED)
    source = cfg.MODEL.WEIGHTS
    if not source:
        logger.warning("MODEL.WEIGHTS is empty: evaluating a model that is not trained")
        return build_model(cfg), {"weights": source}
    content = read_checkpoint(source)
    check_tags(content, [build_dataset(cfg, name) for name in cfg.DATASETS.TESTS], source)
    classifier = content["model"].get("heads.weight")
    if classifier is not None and classifier.ndim:
        cfg.MODEL.HEADS.NUM_CLASSES = len(classifier)
    cfg.MODEL.BACKBONE.PRETRAIN = False
    model = build_model(cfg)
    load_weights(model, content["model"], source, strict=cfg.MODEL.WEIGHTS_STRICT)
    return model, {"weights": source, **{key: content.get(key) for key in ("epoch", "selected_by")}}


def evaluate_model(
    cfg: CfgNode,
    model: nn.Module,
    *,
    test_sets: Mapping[str, EvaluationSet] | None = None,
    rerank: bool = True,
    save_features: str | None = None,
    **about: Any,
) -> dict[str, Any]:
    """Evaluate on DATASETS.TESTS: a table in the log, results.json in OUTPUT_DIR.

    Args:
        model: the meta-architecture, maybe wrapped for several processes; left in the mode it was in.
        test_sets: of ``read_evaluation_sets``; read now by default.
        rerank: whether the re-ranker of the config, if any, adds its rows to the plain ones.
        save_features: as of ``evaluate_weights``.
        about: plain values about the model, such as its epoch, which table and results.json state.

    Returns:
        dataset -> row -> metric in percent; empty on every process but the first. A row is a setting, or
        "<setting> + <re-ranker>".

    Raises:
        ConfigError: there is no test set.
    """
    if not cfg.DATASETS.TESTS:
        raise ConfigError("""DATASETS.TESTS is empty; name test sets, such as '["SYSUMM01"]'""")
    test_sets = read_evaluation_sets(cfg) if test_sets is None else test_sets
    rows = {}
    for name, (dataset, settings, _) in test_sets.items():
        file = feature_file(save_features, name, len(test_sets)) if save_features else None
        rows[name] = evaluate_dataset(
            cfg, model, dataset, name, settings=settings, rerank=rerank, save_features=file
        )
    if not comm.is_main_process():
        return {}
    logger.info(f"Results in percent\n{results_table(rows, about)}")
    os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    about["test_sets"] = {name: test_set.digests for name, test_set in test_sets.items()}
    write_results(Path(cfg.OUTPUT_DIR) / RESULTS, results_record(rows, about))
    return flat_means(rows)


def extract_test_set(
    cfg: CfgNode,
    model: nn.Module,
    dataset: Any,
    settings: tuple[Setting, ...],
    reranker: Reranker | None,
    name: str,
    save_features: Path | None = None,
) -> Extracted:
    """Features of the images and tracks that ``settings`` use: all on the first process, a share on others.

    Args:
        save_features: a file for the features of all test images, which are extracted then.
    """
    standing = used_positions(settings)
    positions, rows = embedded_images(dataset.test, standing, cfg.TEST.TRACK_FRAMES)
    embedded = np.arange(len(dataset.test)) if save_features else np.unique(positions)
    images = [dataset.test[position] for position in embedded]
    views = reranker.views if reranker else ("image",)
    features = extract_features(
        model, build_test_loader(cfg, images), views=views, flip=cfg.TEST.FLIP.ENABLED, title=name
    )
    if comm.is_main_process():
        if save_features is not None:  # before the ranking: nothing that is computed is lost
            write_features(save_features, images, features["image"])
            logger.info(f"{name}: features of all {len(images)} test images in {save_features}")
        places = np.searchsorted(embedded, positions)
        features = {view: values[places] for view, values in features.items()}
        if len(positions) > len(standing):
            features = {view: mean_of_tracks(values, rows) for view, values in features.items()}
    return Extracted([dataset.test[place] for place in standing], renumbered(settings, standing), features)


def evaluate_dataset(
    cfg: CfgNode,
    model: nn.Module,
    dataset: Any,
    name: str,
    *,
    settings: tuple[Setting, ...] | None = None,
    rerank: bool = True,
    save_features: Path | None = None,
) -> list[Row]:
    """Score a model on all settings of a dataset, without re-ranking and, if the config has one, with it.

    Args:
        cfg: TEST, INPUT.SIZE_TEST, DATASETS.TRIALS.
        model: as of ``evaluate_model``.
        dataset: of ``vireid.data.build_dataset``.
        name: its name in DATASETS.TESTS.
        settings: of ``dataset_settings``, made now by default.
        rerank: as of ``evaluate_model``.
        save_features: a file for the features of all test images.

    Returns:
        The rows of the table; none on every process but the first.

    Raises:
        ConfigError: a dataset without a cross-modality protocol (the toolkit's own).
    """
    reranker = build_reranker(cfg) if rerank else None
    settings = dataset_settings(cfg, dataset, name) if settings is None else settings
    started = time.perf_counter()
    extracted = extract_test_set(cfg, model, dataset, settings, reranker, name, save_features)
    if not comm.is_main_process():
        return []
    extraction = time.perf_counter() - started
    try:
        for features in extracted.features.values():
            require_finite_features(features, [item.path for item in extracted.items], zeros=False)
    except UserError as error:
        raise NotFiniteFeaturesError(f"{name}: {error}") from None
    alike, images = count_alike(extracted.features["image"]), len(extracted.items)
    if alike > images / 100:
        logger.warning(
            f"{name}: {alike} of {images} images have nearly the features of another image: the model does "
            "not tell them apart"
        )
    rows = score(cfg, extracted, reranker)
    logger.info(
        f"{name}: features of {len(extracted.items)} images or tracks in {extraction:.1f} s, "
        f"{sum(len(row.result.trials) for row in rows)} trials in "
        f"{time.perf_counter() - started - extraction:.1f} s"
    )
    return rows
