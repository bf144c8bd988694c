"""Datasets and loaders from a config."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.queues import Queue
from typing import Any, NoReturn

import torch
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset
from fastreid.utils import comm
from torch.utils.data import DataLoader

from vireid.data.datasets.base import ImageItem, as_image_item
from vireid.data.resized_images import ImageList, check_cache
from vireid.data.samplers import build_sampler
from vireid.data.samples import TEST_ADVICE, TestSet, TrainSet, as_is
from vireid.data.transforms import MODALITIES, build_views
from vireid.errors import ConfigError, DatasetError, UserError
from vireid.registries import find

logger = logging.getLogger("fastreid.vireid.data")


def end_lost_worker(worker: int) -> None:
    """Let a data worker, as its ``worker_init_fn``, end where one of its threads fails that send batches: no
    other would come, and be waited for without end."""

    def end(*_: Any) -> NoReturn:
        os._exit(1)

    sys.excepthook = end  # by which the thread that sends file descriptors tells its errors
    Queue._on_queue_feeder_error = staticmethod(end)  # type: ignore[attr-defined]


class ImageLoader(DataLoader):
    """A DataLoader that raises a worker's UserError as it was, in one line.

    Batches are dicts: ``images`` (N, 3, H, W) uint8 RGB; ``targets``, ``camids``, ``modalities`` (N,)
    int64; ``img_paths``, a list. Where images have several views, ``views`` (N,) int64 counts them from 0.
    """

    dataset: Any  # TrainSet or TestSet
    batch_sampler: Any  # of a training loader: one of vireid.data.samplers

    def close(self) -> None:
        """End the worker processes of a training loader, which stay from epoch to epoch."""
        iterator: Any = self._iterator
        self._iterator = None
        if iterator is not None:
            iterator._shutdown_workers()

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Go through the batches."""
        try:
            for batch in super().__iter__():
                if isinstance(batch, UserError):
                    raise batch
                yield batch
        except (EOFError, ConnectionError) as error:
            if str(error).startswith("Caught "):  # within a worker
                raise
            raise RuntimeError("DataLoader worker (pid unknown) exited unexpectedly") from error


def build_dataset(cfg: Any, name: str) -> ImageDataset:
    """The registered dataset ``name`` under $FASTREID_DATASETS (default: datasets).

    Raises:
        ConfigError: an unknown name.
        DatasetError: the dataset is not there.
    """
    dataset = find(DATASET_REGISTRY, name, "DATASETS.NAMES or DATASETS.TESTS")
    root = os.path.abspath(os.path.expanduser(os.environ.get("FASTREID_DATASETS", "datasets")))
    try:
        if hasattr(dataset, "from_config"):
            return dataset.from_config(cfg, root)
        return dataset(root=root)  # one of the toolkit's
    except RuntimeError as error:  # what the toolkit's datasets raise for a missing folder
        raise DatasetError(f"{name}: {error}; FASTREID_DATASETS names the folder of the datasets") from error


def build_train_loader(cfg: Any) -> ImageLoader:
    """The training loader of DATASETS.NAMES, one epoch an iteration.

    ``loader.batch_sampler.set_epoch(epoch, step)`` chooses the epoch, and the batch that the next iteration
    begins with; ``loader.dataset`` is a TrainSet.

    Raises:
        ConfigError, DatasetError: before any image is read.
    """
    if cfg.DATASETS.COMBINEALL:
        raise ConfigError("DATASETS.COMBINEALL True would train on the test identities; set it False")
    if not cfg.DATASETS.NAMES:
        raise ConfigError("DATASETS.NAMES is empty; name the training datasets, such as ('SYSUMM01',)")
    check_cache(cfg.DATALOADER.CACHE)
    datasets = [build_dataset(cfg, name) for name in cfg.DATASETS.NAMES]
    if comm.is_main_process():
        for dataset in datasets:
            dataset.show_train()
    views = {modality: build_views(cfg, modality) for modality in MODALITIES}
    size, interpolation, cache = tuple(cfg.INPUT.SIZE_TRAIN), cfg.INPUT.INTERPOLATION, cfg.DATALOADER.CACHE
    train_set = TrainSet(datasets, size, views, cfg.INPUT.UNREADABLE, interpolation, cache)
    seed = cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()
    sampler = build_sampler(cfg, train_set.items, seed, comm.get_rank(), comm.get_world_size())
    workers = _workers(cfg)
    if workers < cfg.DATALOADER.NUM_WORKERS:
        logger.info(
            f"{workers} workers read images, one for each core (DATALOADER.NUM_WORKERS asks for more)"
        )
    return ImageLoader(
        train_set,
        batch_sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=as_is,
        pin_memory=_pins(cfg),
        # The loader draws from its generator, and not from the model's.
        generator=torch.Generator().manual_seed(seed),
        worker_init_fn=end_lost_worker,
    )


def build_test_loader(cfg: Any, items: Sequence[Any]) -> ImageLoader:
    """A loader of ``items`` in their order, of which each process has a contiguous share, maybe none.

    Shares are whole batches of TEST.IMS_PER_BATCH images: an image is in the same batch whatever the number
    of processes, because the last bits of its embedding depend on the batch it is in. Identities or cameras
    that are text are numbered in sorted order.
    """
    world_size, rank = comm.get_world_size(), comm.get_rank()
    items = _with_numbers([as_image_item(item) for item in items])
    batch_size = max(1, cfg.TEST.IMS_PER_BATCH)
    batches = -(-len(items) // batch_size)
    first, end = (r * batches // world_size * batch_size for r in (rank, rank + 1))
    size, interpolation, cache = tuple(cfg.INPUT.SIZE_TEST), cfg.INPUT.INTERPOLATION, cfg.DATALOADER.CACHE
    images = ImageList([item.path for item in items], size, interpolation, cache, TEST_ADVICE)
    items = items[first:end]
    return ImageLoader(
        TestSet(items, images, first),
        batch_size=batch_size,
        num_workers=min(_workers(cfg), -(-len(items) // batch_size)),
        collate_fn=as_is,
        pin_memory=_pins(cfg),
        generator=torch.Generator(),
        worker_init_fn=end_lost_worker,
    )


def _workers(cfg: Any) -> int:
    """DATALOADER.NUM_WORKERS, but no more than the cores of this process: PyTorch warns of more, and
    what they read does not depend on their number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cfg.DATALOADER.NUM_WORKERS, cores)


def _pins(cfg: Any) -> bool:
    """Whether batches go to a GPU. Pinning memory opens one, also for a run on the CPU."""
    return cfg.MODEL.DEVICE.startswith("cuda") and torch.cuda.is_available()


def _with_numbers(items: list[ImageItem]) -> list[ImageItem]:
    pids, camids = _numbers([item.pid for item in items]), _numbers([item.camid for item in items])
    return [item._replace(pid=pid, camid=camid) for item, pid, camid in zip(items, pids, camids)]


def _numbers(values: list[Any]) -> list[int]:
    if not any(isinstance(value, str) for value in values):
        return values
    number = {value: n for n, value in enumerate(sorted(set(values), key=str))}
    return [number[value] for value in values]
