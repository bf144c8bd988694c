"""Seeds: the same seed gives the same run."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from fastreid.utils import comm

from vireid.data.build import ImageLoader


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (third-party code draws from it)
    torch.manual_seed(seed)


def endless_batches(
    loader: ImageLoader,
    start_epoch: int,
    start_step: int,
    seed: int,
    begin: Callable[[], object] | None = None,
) -> Iterator[dict[str, Any]]:
    """Batches of epoch after epoch, from step ``start_step`` of ``start_epoch`` on.

    Each epoch starts from a seed of its own, so that a resumed run draws what an uninterrupted one would
    have drawn. ``begin`` is called after the first seed: it sets the generators to those of the step.
    """
    epoch, step = start_epoch, start_step
    while True:
        loader.batch_sampler.set_epoch(epoch, step)
        seed_everything(seed + 1_000_003 * epoch + comm.get_rank())
        if begin is not None:
            begin()
        yield from loader
        epoch, step, begin = epoch + 1, 0, None
