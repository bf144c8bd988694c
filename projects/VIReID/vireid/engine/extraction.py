"""Embeddings of a loader's images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastreid.utils import comm
from torch import Tensor, nn

from vireid.data.build import ImageLoader
from vireid.data.datasets.base import ImageItem
from vireid.errors import ConfigError, TrainingError
from vireid.meeting import meet
from vireid.modality import Modality
from vireid.modeling.modes import evaluation_mode
from vireid.progress import progress_bar


class NotFiniteFeaturesError(TrainingError):
    """A model gives features that are NaN, infinite or zero."""


CHANNELS = {"red": 0, "green": 1, "blue": 2}


@torch.no_grad()
def extract_features(
    model: nn.Module,
    loader: ImageLoader,
    *,
    views: tuple[str, ...] = ("image",),
    flip: bool = False,
    title: str = "",
) -> dict[str, Tensor]:
    """Embeddings of a loader's images.

    Args:
        model: returns (N, D) embeddings for a batch in evaluation mode; left in the mode it was in.
        loader: each process of a distributed run has its share of the images, which may be empty.
        views: "image", and channels of visible images; an infrared image has three equal channels, so
            its embedding is the same in every view and is computed once.
        flip: average each embedding with that of the mirrored image.
        title: of the progress bar.

    Returns:
        view -> (N, D) float32 on the CPU. The first process has all images, in the order of the processes;
        the others have their own.
    """
    collected: dict[str, list[Tensor]] = {view: [] for view in views}
    progress = progress_bar(loader, title=f"{title} features", unit="batch")
    with evaluation_mode(model):
        for batch in progress:
            plain = _embed(model, batch, flip)
            visible = torch.nonzero(batch["modalities"] == Modality.VISIBLE).flatten()
            for view in views:
                embeddings = plain
                if view != "image" and len(visible):
                    channel = batch["images"][visible, CHANNELS[view], None].expand(-1, 3, -1, -1)
                    part = {"images": channel, "modalities": batch["modalities"][visible]}
                    embeddings = plain.clone()
                    embeddings[visible] = _embed(model, part, flip)
                collected[view].append(embeddings)
    meet()  # a share may take much longer than another
    shares = comm.gather(collected) if comm.get_world_size() > 1 else [collected]
    if not comm.is_main_process():
        shares = [collected]
    parts = {view: [part for share in shares for part in share[view]] for view in views}
    return {view: torch.cat(found) if found else torch.zeros(0, 0) for view, found in parts.items()}


def _embed(model: nn.Module, batch: dict[str, Any], flip: bool) -> Tensor:
    embeddings = model(batch)
    if flip:
        embeddings = (embeddings + model({**batch, "images": batch["images"].flip(3)})) / 2
    return embeddings.float().cpu()


SUFFIX = ".npz"


def check_feature_file(path: str) -> None:
    """Refuse, before anything is computed, a file that could not be written.

    Raises:
        ConfigError: another suffix, a folder, or no such folder.
    """
    if not path.endswith(SUFFIX):
        raise ConfigError(f"{path}: expected the name of a feature file, which ends in {SUFFIX}")
    if Path(path).is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it")
    if not Path(path).absolute().parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {Path(path).parent}; create it")


def feature_file(path: str, dataset: str, datasets: int) -> Path:
    """The file of a test set: the named one, or, of several test sets, ``<name>_<dataset>.npz`` for each."""
    named = Path(path)
    return named if datasets == 1 else named.with_name(f"{named.stem}_{dataset}{SUFFIX}")


def write_features(path: Path, items: Sequence[ImageItem], features: Tensor) -> None:
    """Write features and labels.

    ``numpy.load(path)`` has ``features`` (N, D) float32, as the model gives them, not normalized; and (N,)
    ``paths``, ``pids``, ``camids``, ``modalities``, 0 visible and 1 infrared, and ``tracks``, -1 where an
    image is of none.

    Args:
        items: N test images.
        features: (N, D).
    """
    np.savez(
        path,
        features=features.numpy(),
        paths=np.array([item.path for item in items]),
        pids=np.array([item.pid for item in items]),
        camids=np.array([item.camid for item in items]),
        modalities=np.array([int(item.modality) for item in items]),
        tracks=np.array([-1 if item.track is None else item.track for item in items]),
    )
