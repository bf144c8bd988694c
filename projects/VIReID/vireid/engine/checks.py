"""What is refused before anything is built or read, and before a training that could only fail later.

``check_config`` looks at the config alone, ``check_run`` also at the lists of the datasets. What depends on a
built model is checked where the model is built (``vireid.modeling.checks.check_head``).
"""

import logging
from typing import Any

import torch
from fastreid.utils import comm
from yacs.config import CfgNode

from vireid import host
from vireid.config.rules import check_values
from vireid.data.datasets.base import ImageItem
from vireid.data.datasets.list_faults import check_separation
from vireid.data.file_check import check_files
from vireid.data.image_scan import sampled_color_faults
from vireid.data.samples import TrainSet
from vireid.data.transforms import check_transforms
from vireid.engine.reports import listed, row_name
from vireid.engine.rerankers import build_reranker
from vireid.errors import ConfigError, UserError
from vireid.evaluation.metrics import METRICS
from vireid.evaluation.protocols import Setting
from vireid.modeling.checks import check_model
from vireid.precision import autocast_dtype

logger = logging.getLogger("fastreid.vireid.checks")

LOOKED_AT = 8  # images of each modality and camera, for whether they have color


def check_config(cfg: CfgNode) -> None:
    """Refuse a config that would fail later.

    Raises:
        ConfigError: names the key, its value and what is expected.
    """
    if not host.is_vireid(cfg):
        raise ConfigError(
            f"MODEL.META_ARCHITECTURE is {cfg.MODEL.META_ARCHITECTURE}, a recipe of the toolkit's: it can be "
            "trained and evaluated; anything else needs VIReID"
        )
    check_values(cfg)
    check_supported(cfg)
    check_model(cfg)
    check_transforms(cfg)
    build_reranker(cfg)
    autocast_dtype(cfg)
    _check_figures(cfg)
    _check_device(cfg.MODEL.DEVICE)
    if cfg.MODEL.TRACK_MEAN and (
        cfg.DATALOADER.SAMPLER_TRAIN != "TrackSampler" or cfg.MODEL.BATCH_TRANSFORMS
    ):
        raise ConfigError(
            "MODEL.TRACK_MEAN True needs DATALOADER.SAMPLER_TRAIN TrackSampler, which puts the frames of a "
            "track beside each other, and no batch transforms, which would part them; found "
            f"{cfg.DATALOADER.SAMPLER_TRAIN}, MODEL.BATCH_TRANSFORMS {list(cfg.MODEL.BATCH_TRANSFORMS)}"
        )
    if cfg.MODEL.FREEZE_LAYERS and not cfg.SOLVER.FREEZE_ITERS:
        raise ConfigError(
            f"MODEL.FREEZE_LAYERS is {cfg.MODEL.FREEZE_LAYERS}, but SOLVER.FREEZE_ITERS is 0, so that "
            "nothing would be frozen; set it to the number of updates to wait, or FREEZE_LAYERS to []"
        )


def check_supported(cfg: CfgNode) -> None:
    """Refuse, before anything is built, what the toolkit accepts and then fails at or ignores.

    Raises:
        ConfigError: names the key, its value and what to set instead.
    """
    backbone = cfg.MODEL.BACKBONE
    if backbone.NAME == "build_resnext_backbone" and backbone.DEPTH == "152x":
        raise ConfigError(
            "MODEL.BACKBONE.DEPTH 152x: FastReID's ResNeXt has no non-local table for it; use 50x or 101x"
        )
    if backbone.NAME == "build_resnet_backbone" and backbone.WITH_NL and backbone.DEPTH in ("18x", "34x"):
        raise ConfigError(
            f"MODEL.BACKBONE.WITH_NL True has no effect in FastReID's ResNet {backbone.DEPTH}; "
            "set it False, or DEPTH to 50x or 101x"
        )
    if cfg.SOLVER.OPT == "SGD" and cfg.SOLVER.NESTEROV and not cfg.SOLVER.MOMENTUM:
        raise ConfigError("SOLVER.NESTEROV True needs SOLVER.MOMENTUM above 0; it is 0.0")
    for key in ("NAMES", "TESTS"):
        if "SYSU_mm" in cfg.DATASETS[key]:
            raise ConfigError(
                f"DATASETS.{key} names SYSU_mm: FastReID's class trains on visible images of all "
                "identities, test ones included, and has no test set; use SYSUMM01"
            )


def check_run(cfg: CfgNode, train_set: TrainSet, test_sets: dict[str, Any]) -> None:
    """Refuse, before training, datasets that cannot be trained on or evaluated.

    Args:
        test_sets: of ``vireid.engine.evaluation_sets``.

    Raises:
        ConfigError, DatasetError: names the key, and what is expected; or what is both trained on and tested.
    """
    if train_set.num_classes < 2:
        raise ConfigError(
            f"DATASETS.NAMES: the training set has {train_set.num_classes} identity; it needs 2 or more"
        )
    reranker = build_reranker(cfg)
    rows = []
    datasets = {name: test_set[0] for name, test_set in test_sets.items()}
    for name, (dataset, settings, _) in test_sets.items():
        for trained in train_set.datasets:
            check_separation(trained, dataset)
        for label in ("", reranker.label) if reranker else ("",):
            rows += [f"{name}/{row_name(setting, label)}" for setting in settings]
        if reranker is None:
            continue
        try:
            reranker.check(settings)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
    for figure in listed(cfg.TEST.BEST_METRIC):
        path = figure.rpartition("/")[0]
        if path and path not in rows and f"{next(iter(test_sets), '')}/{path}" not in rows:
            raise ConfigError(
                f"TEST.BEST_METRIC is {cfg.TEST.BEST_METRIC!r}; the rows of the table are {', '.join(rows)}"
            )
    check_files(cfg, train_set, datasets)
    if cfg.INPUT.CHECK_FILES and comm.is_main_process():
        for subset, items in {"DATASETS.NAMES": train_set.items, **_test_items(datasets)}.items():
            for fault in sampled_color_faults(items, LOOKED_AT):
                logger.warning(f"{subset}: {fault}")


def _test_items(datasets: dict[str, Any]) -> dict[str, list[ImageItem]]:
    return {f"DATASETS.TESTS {name}": dataset.test for name, dataset in datasets.items()}


def dataset_settings(cfg: CfgNode, dataset: Any, name: str) -> tuple[Setting, ...]:
    """The published settings of a test set, with DATASETS.TRIALS trials, then those of TEST.MIXED_GALLERY.

    Args:
        name: its name in DATASETS.TESTS.

    Raises:
        ConfigError: a dataset without a cross-modality protocol (the toolkit's own), or one that has too few
            images for a mixed gallery.
    """
    if not hasattr(dataset, "settings"):
        raise ConfigError(f"DATASETS.TESTS has {name}, which has no cross-modality protocol")
    settings: tuple[Setting, ...] = dataset.settings(cfg.DATASETS.TRIALS)
    if not cfg.TEST.MIXED_GALLERY:
        return settings
    try:
        return (*settings, *dataset.mixed_settings(settings, cfg.TEST.MIXED_GALLERY))
    except UserError as error:
        raise ConfigError(f"TEST.MIXED_GALLERY, {name}: {error}") from None


def _check_figures(cfg: CfgNode) -> None:
    if any(figure.split("/")[-1] not in METRICS for figure in listed(cfg.TEST.BEST_METRIC)):
        raise ConfigError(f"TEST.BEST_METRIC is {cfg.TEST.BEST_METRIC!r}; it must end in one of {METRICS}")


def _check_device(device: str) -> None:
    index = device.partition(":")[2]
    if index and torch.cuda.is_available() and int(index) >= torch.cuda.device_count():
        raise ConfigError(
            f"MODEL.DEVICE is {device}, and there are {torch.cuda.device_count()} GPUs, which are counted "
            "from 0"
        )
