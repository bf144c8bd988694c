"""Training and test images as samples, and samples as a batch."""

import logging
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from fastreid.data.datasets.bases import ImageDataset
from PIL import Image
from torch.utils.data import Dataset, default_collate

from vireid.data.datasets.base import ImageItem, as_image_item
from vireid.data.samplers import Sample
from vireid.data.transforms import Transform
from vireid.errors import DatasetError
from vireid.images import read_image, resized
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.data")


class TrainSet(Dataset):
    """The training images of some datasets, identities and cameras relabelled from 0.

    The same number in two datasets is another person.

    Args:
        datasets: the toolkit's or ours.
        size: (height, width) of a sample.
        transforms: augmentations of each modality, in order.
        unreadable: "error", or "skip" to put another image of the same identity and modality in the
            place of one that cannot be read.
        interpolation: the resize filter, one of FILTERS.
    """

    def __init__(
        self,
        datasets: Sequence[ImageDataset],
        size: Sequence[int],
        transforms: Mapping[Modality, Sequence[Transform]],
        unreadable: str = "error",
        interpolation: str = "bicubic",
    ) -> None:
        self.datasets = list(datasets)
        self.size, self.transforms, self.interpolation = size, transforms, interpolation
        images = [[as_image_item(item) for item in dataset.train] for dataset in self.datasets]
        pids = [(d, pid) for d, items in enumerate(images) for pid in sorted({item.pid for item in items})]
        cams = [(d, cam) for d, items in enumerate(images) for cam in sorted({item.camid for item in items})]
        label = {key: number for number, key in enumerate(pids)}
        camera = {key: number for number, key in enumerate(cams)}
        self.items = [
            ImageItem(item.path, label[d, item.pid], camera[d, item.camid], item.modality)
            for d, items in enumerate(images)
            for item in items
        ]
        self.num_classes, self.num_cameras = len(pids), len(cams)
        # One flag an image, seen by all workers: a damaged file is reported once.
        self._damaged: torch.Tensor | None = None
        if unreadable == "skip":
            self._damaged = torch.zeros(len(self.items), dtype=torch.bool).share_memory_()
            self._alike: dict[tuple[int, int], list[int]] = defaultdict(list)
            for index, item in enumerate(self.items):
                self._alike[item.pid, item.modality].append(index)

    @property
    def num_unreadable(self) -> int:
        """Images found damaged so far, and replaced."""
        return 0 if self._damaged is None else int(self._damaged.sum())

    def __len__(self) -> int:
        """Number of images."""
        return len(self.items)

    def __getitem__(self, sample: Sample) -> dict[str, Any]:
        """The image ``sample[0]``, augmented from the seed ``sample[1]``; the caller's generators are left
        as they were."""
        with _preserved_generators(), _one_thread():
            return self._load(*sample)

    def __getitems__(self, samples: list[Sample]) -> list[dict[str, Any]] | DatasetError:
        """A batch of samples, or the error, which a worker process would bury in its traceback."""
        try:
            with _preserved_generators(), _one_thread():
                return [self._load(*sample) for sample in samples]
        except DatasetError as error:
            return error

    def _load(self, index: int, seed: int) -> dict[str, Any]:
        image, item = self._read(index)
        tensor = resized(image, self.size, self.interpolation)
        # Not torch.manual_seed, which visits every device and takes 0.1 ms.
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (the generator that third-party transforms draw from)
        for transform in self.transforms[item.modality]:
            tensor = transform(tensor)
        return _sample(tensor, item)

    def _read(self, index: int) -> tuple[Image.Image, ImageItem]:
        item = self.items[index]
        if self._damaged is None:
            return read_image(item.path), item
        alike = self._alike[item.pid, item.modality]
        place = alike.index(index)
        for candidate in alike[place:] + alike[:place]:
            if self._damaged[candidate]:
                continue
            try:
                return read_image(self.items[candidate].path), self.items[candidate]
            except DatasetError as error:
                self._damaged[candidate] = True
                logger.warning("Skipped: %s", error)
        raise DatasetError(
            f"{item.path}: neither it nor any other {item.modality.name.lower()} image of its identity can "
            "be read; remove the identity from the training list"
        )


class TestSet(Dataset):
    """Items in their order, resized and not augmented; identities and cameras keep their numbers."""

    __test__ = False  # not a test case of pytest's

    def __init__(
        self, items: Sequence[ImageItem], size: Sequence[int], interpolation: str = "bicubic"
    ) -> None:
        self.items, self.size, self.interpolation = items, size, interpolation

    def __len__(self) -> int:
        """Number of images."""
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One image."""
        item = self.items[index]
        with _one_thread():
            return _sample(resized(read_image(item.path), self.size, self.interpolation), item)

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]] | DatasetError:
        """A batch of samples, or the error."""
        try:
            return [self[index] for index in indices]
        except DatasetError as error:
            return error


def collate(samples: list[dict[str, Any]] | DatasetError) -> dict[str, Any] | DatasetError:
    """images (N, 3, H, W) uint8; targets, camids, modalities (N,) int64; img_paths, a list."""
    if isinstance(samples, DatasetError):
        return samples
    batch: dict[str, Any] = {"images": default_collate([sample["images"] for sample in samples])}
    for key in ("targets", "camids", "modalities"):
        batch[key] = torch.tensor([int(sample[key]) for sample in samples])
    batch["img_paths"] = [sample["img_paths"] for sample in samples]
    return batch


def _sample(image: torch.Tensor, item: ImageItem) -> dict[str, Any]:
    return {
        "images": image,
        "targets": item.pid,
        "camids": item.camid,
        "modalities": int(item.modality),
        "img_paths": item.path,
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    # One image is too little to share out: where cores are busy, threads that wait for each other take
    # 8 ms for a flip that takes one of them 6 us. Worker processes have one thread anyway.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _preserved_generators() -> Iterator[None]:
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
