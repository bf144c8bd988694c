"""Features of a test set in a file, for scoring, searching and plotting elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from vireid.data.datasets.base import ImageItem
from vireid.errors import ConfigError

SUFFIX = ".npz"


def check_feature_file(path: str) -> None:
    """Refuse, before anything is computed, a file that could not be written.

    Raises:
        ConfigError: another suffix, a folder, or no such folder.
    """
    if not path.endswith(SUFFIX):
        raise ConfigError(f"--save-features {path}: expected a name that ends in {SUFFIX}")
    if Path(path).is_dir():
        raise ConfigError(f"--save-features {path} is a folder; name a file in it")
    if not Path(path).absolute().parent.is_dir():
        raise ConfigError(f"--save-features {path}: there is no folder {Path(path).parent}; create it")


def feature_file(path: str, dataset: str, datasets: int) -> Path:
    """The file of a test set: the named one, or, of several test sets, ``<name>_<dataset>.npz`` for each."""
    named = Path(path)
    return named if datasets == 1 else named.with_name(f"{named.stem}_{dataset}{SUFFIX}")


def write_features(path: Path, items: Sequence[ImageItem], features: Tensor) -> None:
    """Write features and labels.

    ``numpy.load(path)`` has ``features`` (N, D) float32, as the model gives them, not normalized; and (N,)
    ``paths``, ``pids``, ``camids`` and ``modalities``, 0 visible and 1 infrared.

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
    )
