"""Images of a training or test set with their embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import normalize
from yacs.config import CfgNode

from vireid.data.build import build_dataset, build_test_loader
from vireid.data.datasets.base import ImageItem, as_image_item
from vireid.engine.extraction import extract_features
from vireid.errors import ConfigError

SUBSETS = ("test", "train")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and their embeddings.

    Attributes:
        title: the dataset, the subset, and how many of its identities there are, in words.
        items: N images.
        features: (N, D) float32, L2-normalized.
    """

    title: str
    items: list[ImageItem]
    features: Tensor

    @property
    def pids(self) -> np.ndarray:
        """(N,) identities."""
        return np.array([item.pid for item in self.items])

    @property
    def modalities(self) -> np.ndarray:
        """(N,) int64, of ``Modality``."""
        return np.array([int(item.modality) for item in self.items])


def embedded_images(
    cfg: CfgNode,
    model: nn.Module,
    subset: str = "test",
    *,
    identities: int | None = None,
    pids: Sequence[int] = (),
    seed: int = 0,
) -> ImageSet:
    """Embed images as an evaluation does, training images, too.

    Args:
        cfg: of DATASETS.TESTS or DATASETS.NAMES the first is taken.
        subset: "test" or "train".
        identities: how many to draw at random; None: all.
        pids: these identities instead.
        seed: of the draw.

    Raises:
        ConfigError: an identity that the subset does not have.
    """
    title, chosen = chosen_images(cfg, subset, identities=identities, pids=pids, seed=seed)
    features = extract_features(model, build_test_loader(cfg, chosen), flip=cfg.TEST.FLIP.ENABLED)["image"]
    return ImageSet(title, chosen, normalize(features))


def chosen_images(
    cfg: CfgNode, subset: str, *, identities: int | None = None, pids: Sequence[int] = (), seed: int = 0
) -> tuple[str, list[ImageItem]]:
    """The title and the images of ``embedded_images``."""
    name = (cfg.DATASETS.TESTS if subset == "test" else cfg.DATASETS.NAMES)[0]
    dataset: Any = build_dataset(cfg, name)
    items = [as_image_item(item) for item in (dataset.test if subset == "test" else dataset.train)]
    known = sorted({item.pid for item in items})
    missing = sorted(set(pids) - set(known))
    if missing:
        raise ConfigError(
            f"{name}: its {subset} set has no identity {missing[0]}; it has {len(known)}, such as "
            f"{', '.join(map(str, known[:5]))}"
        )
    wanted = set(pids or known)
    if identities is not None and not pids:
        drawn = np.random.default_rng(seed).permutation(len(known))[:identities]
        wanted = {known[number] for number in drawn}
    title = f"{name}, {subset} set: {len(wanted)} of {len(known)} identities"
    return title, [item for item in items if item.pid in wanted]
