"""SYSU-MM01 (Wu et al., ICCV 2017): four visible and two infrared cameras, 491 identities."""

import logging
import os
from collections.abc import Iterator
from functools import cached_property
from os.path import join
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY

from vireid.data.datasets import published_counts
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.lists import SEE, read_ids, require_images, scan_camera
from vireid.data.datasets.permutations import permutation_faults
from vireid.errors import ConfigError, DatasetError
from vireid.evaluation.protocols import Setting
from vireid.evaluation.sysu_mm01 import sysu_settings
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.data")

GALLERIES = ("official", "random")
CAMERAS = {
    1: Modality.VISIBLE,
    2: Modality.VISIBLE,
    3: Modality.INFRARED,
    4: Modality.VISIBLE,
    5: Modality.VISIBLE,
    6: Modality.INFRARED,
}


@DATASET_REGISTRY.register()
class SYSUMM01(VisibleInfraredDataset):
    """``cam1..cam6/<id:04d>/<n:04d>.jpg``; training takes the training and validation identities (395)."""

    folder = "SYSU-MM01"
    modality_folders = {
        kind: [f"cam{camid}" for camid, modality in CAMERAS.items() if modality == kind]
        for kind in (Modality.VISIBLE, Modality.INFRARED)
    }
    published = published_counts.SYSU_MM01

    def __init__(self, root: str = "datasets", gallery: str = "official", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)
        if gallery not in GALLERIES:
            raise ConfigError(
                f"DATASETS.SYSUMM01.GALLERY is {gallery!r}; expected one of {', '.join(GALLERIES)}"
            )
        self.gallery_draw = gallery

    @classmethod
    def from_config(cls, cfg: Any, root: str) -> "SYSUMM01":
        """Read DATASETS.SYSUMM01."""
        return cls(root, gallery=cfg.DATASETS.SYSUMM01.GALLERY)

    def read_train(self) -> list[ImageItem]:
        """Images of exp/train_id.txt and exp/val_id.txt."""
        return self._read("train_id.txt", "val_id.txt")

    def read_test(self) -> list[ImageItem]:
        """Images of exp/test_id.txt."""
        return self._read("test_id.txt")

    def identity(self, item: ImageItem) -> int:
        """Its number, which is one person's in all lists."""
        return item.pid

    def own_faults(self) -> Iterator[str]:
        """Permutations that do not fit the images."""
        if self.permutations is not None:
            train, test = (
                [(item.pid, item.camid, _number(item.path)) for item in items]
                for items in (self.train, self.test)
            )
            yield from permutation_faults(self.permutations, train, test)

    @cached_property
    def permutations(self) -> str | None:
        """exp/rand_perm_cam.mat, the official draws; None where DATASETS.SYSUMM01.GALLERY is "random", and,
        after a warning, where the file is missing."""
        if self.gallery_draw == "random":
            return None
        path = join(self.dataset_dir, "exp", "rand_perm_cam.mat")
        if os.path.exists(path):
            return path
        logger.warning(
            "%s does not exist: the galleries are drawn by random.seed(trial) instead, and the figures are "
            "not those of the official trials; %s",
            path,
            SEE,
        )
        return None

    def settings(self, trials: int = 10) -> tuple[Setting, ...]:
        """All-search and indoor-search, each single- and multi-shot."""
        numbers = [_number(item.path) for item in self.test]
        pids, camids = [item.pid for item in self.test], [item.camid for item in self.test]
        try:
            return sysu_settings(pids, camids, numbers, self.permutations, trials=trials)
        except DatasetError as error:
            raise DatasetError(f"{error}; {SEE}") from error

    def _read(self, *names: str) -> list[ImageItem]:
        lists = {path: set(read_ids(path)) for path in (join(self.dataset_dir, "exp", n) for n in names)}
        pids = set().union(*lists.values())
        items: list[ImageItem] = []
        found: set[int] = set()
        for camid, modality in CAMERAS.items():
            folder = join(self.dataset_dir, f"cam{camid}")
            for pid, paths in scan_camera(folder, pids, self.report).items():
                found.add(pid)
                numbered = sorted(filter(self._has_number, paths), key=_number)
                items.extend(ImageItem(path, pid, camid, modality) for path in numbered)
        for path, named in lists.items():
            require_images(named, found, path, self.dataset_dir, self.report)
        return items

    def _has_number(self, path: str) -> bool:
        stem = os.path.splitext(os.path.basename(path))[0]
        if stem.isascii() and stem.isdigit():
            return True
        self.report(f"{path}: an image's name is expected to be its number, such as 0001.jpg; {SEE}")
        return False


def _number(path: str) -> int:
    """n of n.jpg."""
    return int(os.path.splitext(os.path.basename(path))[0])
