"""Seeds: the same seed gives the same run."""

import random
from collections.abc import Iterator
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


def endless_batches(loader: ImageLoader, start_epoch: int, seed: int) -> Iterator[dict[str, Any]]:
    """Batches of epoch after epoch, from ``start_epoch`` on.

    Each epoch starts from a seed of its own, so that a resumed run draws what an uninterrupted one would
    have drawn.
    """
    epoch = start_epoch
    while True:
        loader.batch_sampler.set_epoch(epoch)
        seed_everything(seed + 1_000_003 * epoch + comm.get_rank())
        yield from loader
        epoch += 1
