"""SYSU-MM01 (Wu et al., ICCV 2017): four visible and two infrared cameras, 491 identities."""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from os.path import join
from typing import Any

import numpy as np
from fastreid.data.datasets import DATASET_REGISTRY

from vireid.data.datasets import published_counts
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.reading import SEE, is_number, read_ids, require_images, scan_camera
from vireid.errors import ConfigError, DatasetError
from vireid.evaluation.protocols import Setting
from vireid.evaluation.sysu_mm01 import VISIBLE_CAMERAS, read_permutations, sysu_settings
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.data")

GALLERIES = ("official", "random")
TRAIN_LISTS = {"trainval": ("train_id.txt", "val_id.txt"), "train": ("train_id.txt",)}
TEST_LISTS = {"test": ("test_id.txt",), "val": ("val_id.txt",)}
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
    """``cam1..cam6/<id:04d>/<n:04d>.jpg``.

    Args:
        root: folder that holds SYSU-MM01.
        gallery: how galleries are drawn, "official" or "random".
        train_on: "trainval", as published: the identities of train_id.txt and val_id.txt (395); "train": of
            train_id.txt alone, which leaves those of val_id.txt for choosing settings.
        test_on: "test", or "val": the same protocol on the identities of val_id.txt.

    Raises:
        ConfigError: another value, or validation identities that are trained on.
    """

    folder = "SYSU-MM01"
    modality_folders = {
        kind: [f"cam{camid}" for camid, modality in CAMERAS.items() if modality == kind]
        for kind in (Modality.VISIBLE, Modality.INFRARED)
    }
    published = published_counts.SYSU_MM01

    def __init__(
        self,
        root: str = "datasets",
        gallery: str = "official",
        train_on: str = "trainval",
        test_on: str = "test",
        **kwargs: Any,
    ) -> None:
        super().__init__(root, **kwargs)
        for key, value, known in (
            ("GALLERY", gallery, GALLERIES),
            ("TRAIN_ON", train_on, TRAIN_LISTS),
            ("TEST_ON", test_on, TEST_LISTS),
        ):
            if value not in known:
                raise ConfigError(f"DATASETS.SYSUMM01.{key} is {value!r}; expected one of {', '.join(known)}")
        if train_on == "trainval" and test_on == "val":
            raise ConfigError(
                "DATASETS.SYSUMM01.TEST_ON val tests identities that TRAIN_ON trainval trains on; "
                "set DATASETS.SYSUMM01.TRAIN_ON train"
            )
        self.gallery_draw, self.train_on, self.test_on = gallery, train_on, test_on
        if train_on == "train":
            self.published = published_counts.SYSU_MM01_LISTS[test_on]

    @classmethod
    def from_config(cls, cfg: Any, root: str) -> "SYSUMM01":
        """Read DATASETS.SYSUMM01."""
        node = cfg.DATASETS.SYSUMM01
        return cls(root, gallery=node.GALLERY, train_on=node.TRAIN_ON, test_on=node.TEST_ON)

    def checkpoint_tag(self) -> dict[str, Any]:
        """What is trained on: the validation identities may be among it."""
        return {"TRAIN_ON": self.train_on}

    def read_train(self) -> list[ImageItem]:
        """Images of the lists that ``train_on`` names."""
        return self._read(*TRAIN_LISTS[self.train_on])

    def read_test(self) -> list[ImageItem]:
        """Images of the list that ``test_on`` names."""
        return self._read(*TEST_LISTS[self.test_on])

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
        if is_number(stem):
            return True
        self.report(f"{path}: an image's name is expected to be its number, such as 0001.jpg; {SEE}")
        return False


def _number(path: str) -> int:
    """n of n.jpg."""
    return int(os.path.splitext(os.path.basename(path))[0])


TRIALS = 10
Numbers = dict[tuple[int, int], set[int]]  # (camera, identity) -> numbers of its images


def permutation_faults(
    path: str, train: Sequence[tuple[int, int, int]], test: Sequence[tuple[int, int, int]]
) -> Iterator[str]:
    """Each identity and camera whose permutations are not those of its images, as one line.

    Where the file has no permutation, as of identities that are not tested, nothing is compared.

    Args:
        path: of rand_perm_cam.mat.
        train, test: (identity, camera, number) of the images.
    """
    try:
        cells = read_permutations(path).numbers
    except DatasetError as error:
        yield str(error)
        return
    assert cells is not None  # it is where there is a file
    numbers: Numbers = defaultdict(set)
    for pid, camid, number in (*train, *test):
        numbers[camid, pid].add(number)
    tested = {pid for pid, _, _ in test}
    for pid in sorted({pid for _, pid in numbers}):
        for camid in CAMERAS:
            held = numbers.get((camid, pid), set())
            rows = cells[camid - 1][pid - 1] if pid <= len(cells[camid - 1]) else np.zeros((0, 0), int)
            where = f"{path}, camera {camid}, identity {pid:04d}"
            if rows.shape[1]:
                yield from (f"{where}: {fault}" for fault in _faults(rows, held))
            elif held and pid in tested and camid in VISIBLE_CAMERAS:
                yield f"{where}: no permutation of its {len(held)} images"


def _faults(rows: np.ndarray, held: set[int]) -> Iterator[str]:
    drawn = set(rows.ravel().tolist())
    if len(rows) < TRIALS:
        yield f"{len(rows)} permutations; expected {TRIALS}, one for each trial"
    if drawn - held:
        yield f"draws {_images(drawn - held)} not exist"
    if held - drawn:
        left = held - drawn
        yield f"does not permute {len(left)} of the {len(held)} images, such as {min(left):04d}.jpg"
    if any(len(set(row)) < len(row) for row in rows.tolist()):
        yield "draws an image twice in one trial"


def _images(numbers: set[int]) -> str:
    names = [f"{number:04d}.jpg" for number in sorted(numbers)]
    if len(names) == 1:
        return f"{names[0]}, which does"
    return f"{len(names)} images ({', '.join(names[:3])}{', ...' * (len(names) > 3)}) that do"
