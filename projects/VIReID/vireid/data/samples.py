"""Training and test images as samples, and samples as a batch."""

import logging
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from fastreid.data.datasets.bases import ImageDataset
from torch.utils.data import Dataset, get_worker_info

from vireid.data.datasets.base import ImageItem, as_image_item
from vireid.data.resized_images import ImageList
from vireid.data.samplers import Sample
from vireid.data.transforms import Transform, augmented
from vireid.errors import DatasetError, MachineError, UserError
from vireid.images import REPLACE
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.data")
# What is advised about a file that cannot be read.
TRAIN_ADVICE = f'{REPLACE}, or train without it by INPUT.UNREADABLE "skip"'
TEST_ADVICE = f"{REPLACE}, or take it out of the test set (a test leaves out nothing by itself)"


class TrainSet(Dataset):
    """The training images of some datasets, identities and cameras relabelled from 0: the same number in two
    datasets is another person.

    Args:
        datasets: the toolkit's or ours.
        size: (height, width) of a sample.
        views: of each modality, the augmentations of each view of an image, in order.
        unreadable: "error", or "skip" to put another image of the same identity and modality in the
            place of one that cannot be read.
        interpolation: the resize filter, one of FILTERS.
        cache: where resized images are kept, as DATALOADER.CACHE.
    """

    def __init__(
        self,
        datasets: Sequence[ImageDataset],
        size: Sequence[int],
        views: Mapping[Modality, Sequence[Sequence[Transform]]],
        unreadable: str = "error",
        interpolation: str = "bicubic",
        cache: str = "",
    ) -> None:
        self.datasets, self.size, self.views = list(datasets), size, views
        images = [[as_image_item(item) for item in dataset.train] for dataset in self.datasets]
        pids = [(d, pid) for d, items in enumerate(images) for pid in sorted({item.pid for item in items})]
        cams = [(d, cam) for d, items in enumerate(images) for cam in sorted({item.camid for item in items})]
        tracks = dict.fromkeys((d, item.track) for d, items in enumerate(images) for item in items)
        label = {key: number for number, key in enumerate(pids)}
        camera = {key: number for number, key in enumerate(cams)}
        track = {key: None if key[1] is None else number for number, key in enumerate(tracks)}
        self.items = [
            item._replace(pid=label[d, item.pid], camid=camera[d, item.camid], track=track[d, item.track])
            for d, items in enumerate(images)
            for item in items
        ]
        self.num_classes, self.num_cameras = len(pids), len(cams)
        skip = unreadable == "skip"
        paths = [item.path for item in self.items]
        self.images = ImageList(paths, size, interpolation, cache, REPLACE if skip else TRAIN_ADVICE)
        # One flag an image, seen by all workers: a damaged file is reported once.
        self._damaged = torch.zeros(len(self.items), dtype=torch.bool).share_memory_() if skip else None
        self._alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, item in enumerate(self.items):
            self._alike[item.pid, item.modality].append(index)

    @property
    def num_unreadable(self) -> int:
        """Images found damaged so far, and replaced."""
        return 0 if self._damaged is None else int(self._damaged.sum())

    def leave_out(self, indices: Sequence[int]) -> None:
        """Never read these images, with ``unreadable`` "skip": others take their place."""
        assert self._damaged is not None
        self._damaged[indices] = True

    def __len__(self) -> int:
        """Number of images."""
        return len(self.items)

    def __getitem__(self, sample: Sample) -> dict[str, Any]:
        """The first view of the image ``sample[0]``, augmented from the seed ``sample[1]``; the caller's
        generators are left as they were."""
        images = torch.empty((1, 3, *self.size), dtype=torch.uint8)
        with _preserved_generators(), _one_thread():
            item = self._load(*sample, images)
        return {key: value[0] for key, value in _batch(images, [item]).items()}

    def __getitems__(self, samples: list[Sample]) -> dict[str, Any] | UserError:
        """A batch, ordered by modality, then by view, then as the samples come; or the error, which a worker
        process would bury in its traceback."""
        keys = [(n, self.items[index].modality) for n, (index, _) in enumerate(samples)]
        rows = sorted((m, view, n) for n, m in keys for view in range(len(self.views[m])))
        try:
            images = _empty_batch(len(rows), self.size)
            out = dict(zip(rows, images))
            with _preserved_generators(), _one_thread():
                items = [
                    self._load(*samples[n], [out[m, view, n] for view in range(len(self.views[m]))])
                    for n, m in keys
                ]
        except UserError as error:
            return error
        batch = _batch(images, [items[n] for _, _, n in rows])
        if max(map(len, self.views.values())) > 1:
            batch["views"] = torch.tensor([view for _, view, _ in rows])
        return batch

    def _load(self, index: int, seed: int, views: Iterable[torch.Tensor]) -> ImageItem:
        """Write the views of a sample to ``views``; its item."""
        kept, item = self._read(index)
        # Not torch.manual_seed, which visits every device and takes 0.1 ms.
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (the generator that third-party transforms draw from)
        for transforms, out in zip(self.views[item.modality], views):
            out.copy_(augmented(kept, transforms))
        return item

    def _read(self, index: int) -> tuple[torch.Tensor, ImageItem]:
        item = self.items[index]
        if self._damaged is None:
            return self.images[index], item
        alike = self._alike[item.pid, item.modality]
        for candidate in alike[(place := alike.index(index)) :] + alike[:place]:
            if self._damaged[candidate]:
                continue
            try:
                return self.images[candidate], self.items[candidate]
            except DatasetError as error:
                self._damaged[candidate] = True
                logger.warning("Skipped: %s", error)
        raise DatasetError(
            f"{item.path}: neither it nor any other {item.modality.name.lower()} image of its identity can "
            "be read; remove the identity from the training list"
        )


class TestSet(Dataset):
    """Items in their order, resized and not augmented; identities and cameras keep their numbers.

    Args:
        items: of the test set.
        images: of all items of which these are a part, in their order.
        first: the place in ``images`` of the first item.
    """

    __test__ = False  # not a test case of pytest's

    def __init__(self, items: Sequence[ImageItem], images: ImageList, first: int = 0) -> None:
        self.items, self.images, self.first = items, images, first

    def __len__(self) -> int:
        """Number of images."""
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One image."""
        with _one_thread():
            images = self.images[self.first + index].clone()[None]
        return {key: value[0] for key, value in _batch(images, [self.items[index]]).items()}

    def __getitems__(self, indices: list[int]) -> dict[str, Any] | UserError:
        """A batch, or the error."""
        try:
            images = _empty_batch(len(indices), self.images.size)
            with _one_thread():
                for index, image in zip(indices, images):
                    image.copy_(self.images[self.first + index])
        except UserError as error:
            return error
        return _batch(images, [self.items[index] for index in indices])


def as_is(batch: Any) -> Any:
    """What a loader does with what ``__getitems__`` gives: it is a batch already."""
    return batch


def _empty_batch(count: int, size: Sequence[int]) -> torch.Tensor:
    """uint8 (N, 3, H, W) to be filled; a worker's is in the memory that it shares with the main process.

    Raises:
        MachineError: there is too little of that memory.
    """
    shape = (count, 3, *size)
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    try:
        storage = torch.UntypedStorage._new_shared(math.prod(shape))  # as PyTorch's own collation
    except RuntimeError as error:
        size_mib, reason = math.prod(shape) / 2**20, str(error).splitlines()[0]
        raise MachineError(
            f"no shared memory for a batch of {size_mib:.0f} MiB: {reason}. "
            "Make /dev/shm larger (docker run --shm-size 8g), or set DATALOADER.NUM_WORKERS 0"
        ) from None
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)


def _batch(images: torch.Tensor, items: Sequence[ImageItem]) -> dict[str, Any]:
    """images (N, 3, H, W) uint8; targets, camids, modalities (N,) int64; img_paths, a list."""
    return {
        "images": images,
        "targets": torch.tensor([int(item.pid) for item in items]),
        "camids": torch.tensor([int(item.camid) for item in items]),
        "modalities": torch.tensor([int(item.modality) for item in items]),
        "img_paths": [item.path for item in items],
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
