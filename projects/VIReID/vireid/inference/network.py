"""What an embedder needs of a model: a network, from a config and its weights or from an exported file."""

import base64
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from vireid.errors import CheckpointError, ConfigError
from vireid.inference.inputs import AnyImage, Ready, image_name, make_ready
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing, model_fingerprint

PROBE = np.random.default_rng(0).integers(0, 256, (16, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)


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


class TrainedNetwork:
    """The model of a config, by the toolkit, in evaluation mode; see ``Network``. Threads take turns.

    Args:
        cfg: merged, a yacs ``CfgNode``; MODEL.WEIGHTS names the weights.
        device: such as "cuda:1"; None: MODEL.DEVICE, where "cuda" is the GPU of this process, and the CPU
            where there is none.

    Raises:
        ConfigError, CheckpointError: as for an evaluation.
    """

    # Held while the model computes: its streams share the layout of one batch.
    lock: threading.RLock
    modalities: tuple[Modality, ...] = (Modality.VISIBLE, Modality.INFRARED)

    def __init__(self, cfg: Any, device: str | None = None) -> None:
        from vireid.engine.checks import check_config
        from vireid.engine.evaluation import load_for_evaluation

        self.lock = threading.RLock()
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.DEVICE = device or default_device(cfg.MODEL.DEVICE)
        cfg.DATASETS.TESTS = ()  # which data a model was tested on does not matter here
        check_config(cfg)
        self.model: Any = load_for_evaluation(cfg).eval()
        self.preprocessing = Preprocessing.from_config(cfg)
        self.fingerprint = model_fingerprint(self.model, self.preprocessing)
        self.name = Path(cfg.MODEL.WEIGHTS).name or "a model that is not trained"
        height, width = self.preprocessing.size
        self.dimension = self(np.zeros((1, 3, height, width), np.uint8), np.zeros(1, np.int64)).shape[1]

    @torch.inference_mode()
    def __call__(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        batch = {"images": torch.from_numpy(images), "modalities": torch.from_numpy(modalities)}
        with self.lock:
            embeddings: torch.Tensor = self.model(batch)
        return embeddings.float().cpu().numpy()


def embed_batch(network: Network, batch: Sequence[Ready], images: Sequence[AnyImage]) -> np.ndarray:
    """Embeddings of images that are ready: the one place that makes them.

    Args:
        images: the same, for the error.

    Returns:
        (n, D) float32, L2-normalized, NaN for an image that has a ``fault``.

    Raises:
        CheckpointError: the network gives NaN, infinity or zeros.
    """
    vectors = np.full((len(batch), network.dimension), np.nan, np.float32)
    good = [number for number, ready in enumerate(batch) if not ready.fault]
    if not good:
        return vectors
    pixels = np.stack([batch[number].pixels for number in good])
    pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    modalities = np.array([int(batch[number].modality) for number in good], np.int64)
    embeddings = network(pixels, modalities)
    if network.preprocessing.flip:
        mirrored = network(np.ascontiguousarray(pixels[..., ::-1]), modalities)
        embeddings = (embeddings + mirrored) / 2
    for number, length in zip(good, np.linalg.norm(embeddings, axis=1).tolist()):
        if not 0 < length < np.inf:
            raise CheckpointError(
                f"{network.name} makes of {image_name(images[number])} an embedding of length {length}, "
                "which cannot be compared: the training has diverged, or the weights are damaged or zero"
            )
    vectors[good] = normalized(embeddings)
    return vectors


def normalized(vectors: np.ndarray) -> np.ndarray:
    """(N, D) float32 of length 1; a vector of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)


def packed(vector: np.ndarray) -> str:
    """A vector as text, in half precision."""
    return base64.b64encode(vector.astype(np.float16).tobytes()).decode()


def cosine(first: str, second: str) -> float:
    """The cosine of two vectors of ``packed``; 0 where their lengths differ."""
    one, other = (
        np.frombuffer(base64.b64decode(text), np.float16).astype(np.float64) for text in (first, second)
    )
    if one.shape != other.shape:
        return 0.0
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12))


def probe(network: Network) -> dict[str, str]:
    """By modality that a network takes, its embedding of a fixed image, ``packed``: what tells architectures
    apart whose weights are the same."""
    found = {}
    for kind in network.modalities:
        pixels = PROBE if kind == Modality.VISIBLE else PROBE[..., :1].repeat(3, 2)
        ready = make_ready(pixels, kind.name.lower(), network.preprocessing)
        found[kind.name.lower()] = packed(embed_batch(network, [ready], ["a test image"])[0])
    return found


def check_device(device: str | None) -> None:
    """Refuse a GPU that was asked for where PyTorch finds none.

    Raises:
        ConfigError: names it.
    """
    if device and device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device is {device}, and PyTorch finds no GPU; leave it out, or give cpu")


def default_device(device: str) -> str:
    """For "cuda" a GPU, of several processes on a machine each its own; the CPU where there is none."""
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return "cpu"
    if device != "cuda":
        return device
    return f"cuda:{local_rank() % torch.cuda.device_count()}"


def local_rank() -> int:
    """The number of this process among those that torchrun started on this machine; 0 without it."""
    return int(os.environ.get("LOCAL_RANK", 0))
