"""What the processes of a run compare before it begins: code, config, weights and lists."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import PIL
import torch
from fastreid.utils import comm
from yacs.config import CfgNode

from vireid.config.changes import config_record
from vireid.data.resized_images import RAM
from vireid.engine.checkpoints.digest import content_digest
from vireid.entry_points import METHODS, find_entry_points
from vireid.files import open_regular
from vireid.meeting import require_agreement

# Keys that may differ between the machines of a run; of files that they name, the content is compared.
OF_A_MACHINE = (
    "DATALOADER.NUM_WORKERS",
    "DATASETS.LIST.FILE",
    "MODEL.BACKBONE.PRETRAIN_PATH",
    "MODEL.WEIGHTS",
)


def compare_start(cfg: CfgNode, seed: int | None) -> None:
    """Compare the code, the config and what is in the files that it names.

    Args:
        seed: of the run in OUTPUT_DIR, with which this one is to go on; None where there is none.

    Raises:
        ConfigError: on every process; names the first difference.
    """
    if comm.get_world_size() == 1:
        return
    config = {key: value for key, value in config_record(cfg).items() if key not in OF_A_MACHINE}
    weights = {"MODEL.WEIGHTS": cfg.MODEL.WEIGHTS}
    if cfg.MODEL.BACKBONE.PRETRAIN:
        weights["MODEL.BACKBONE.PRETRAIN_PATH"] = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    require_agreement(
        {
            "the code": _file_digest(_sources(cfg.PLUGINS)),
            "PyTorch": torch.__version__,
            "Pillow": PIL.__version__,
            **config,
            "DATALOADER.CACHE": cfg.DATALOADER.CACHE == RAM,  # memory that all processes share
            **{f"the file of {key}": _file_digest([Path(file)]) for key, file in weights.items() if file},
            f"the seed of the run in OUTPUT_DIR {cfg.OUTPUT_DIR}": seed,
        }
    )


def compare_lists(names: Iterable[str], datasets: Iterable[Any]) -> None:
    """Compare the training images of datasets and their labels.

    Raises:
        ConfigError: on every process; names the first difference.
    """
    if comm.get_world_size() > 1:
        require_agreement(
            {
                f"the training set {name}": _described(dataset.train, list_digest(dataset, dataset.train))
                for name, dataset in zip(names, datasets)
            }
        )


def compare_tests(name: str, dataset: Any, digests: dict[str, str]) -> None:
    """Compare the images, labels, queries and galleries of a test set.

    Args:
        digests: of each setting.

    Raises:
        ConfigError: on every process; names the first difference.
    """
    require_agreement(
        {
            f"the test set {name}, {setting}": _described(dataset.test, digest)
            for setting, digest in digests.items()
        }
    )


def list_digest(dataset: Any, items: Sequence[Any]) -> str:
    """A digest of images and their labels, by paths that do not depend on where the dataset is."""
    folder = getattr(dataset, "dataset_dir", "")
    return content_digest([(os.path.relpath(item[0], folder), *item[1:]) for item in items])[:16]


def _described(items: Sequence[Any], digest: str) -> str:
    return f"{len(items)} images, digest {digest}"


def _sources(plugins: Sequence[str]) -> list[Path]:
    """The files of this package, of the methods' packages, and of plugins."""
    packages = {point.module.partition(".")[0] for point in find_entry_points(METHODS).values()} | {"vireid"}
    specs = [importlib.util.find_spec(package) for package in sorted(packages)]
    folders = [Path(spec.origin).parent for spec in specs if spec is not None and spec.origin]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return files + [Path(file) for name in plugins if (file := sys.modules[name].__file__)]


def _file_digest(paths: Sequence[Path]) -> str:
    """Of the content of files; why one cannot be read, where that is so."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open_regular(path) as file:
                while part := file.read(1 << 20):
                    digest.update(part)
        except OSError as error:
            return f"{path}: {error.strerror}"
    return digest.hexdigest()[:16]
