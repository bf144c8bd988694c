"""What an embedder needs of a model, wherever it runs."""

from typing import Protocol

import numpy as np

from vireid.modality import Modality
from vireid.preprocessing import Preprocessing


class Network(Protocol):
    """Embeds images that are ready.

    Attributes:
        name: what a person calls it.
        fingerprint: of ``vireid.preprocessing.model_fingerprint``.
        dimension: D.
        preprocessing: what its images need.
        modalities: those that it takes.
    """

    name: str
    fingerprint: str
    dimension: int
    preprocessing: Preprocessing
    modalities: tuple[Modality, ...]

    def __call__(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """images: (N, 3, H, W) uint8 RGB, contiguous; modalities: (N,) int64 -> (N, D) float32."""
        ...
