"""Embedding images: from paths, pictures, arrays or tensors to vectors that are compared by their product."""

import logging
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from vireid.errors import ImageError
from vireid.inference.inputs import AUTO, AnyImage, Ready, make_ready, one_by_one, one_modality_each
from vireid.inference.network import Network
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing

if TYPE_CHECKING:
    from yacs.config import CfgNode

logger = logging.getLogger("fastreid.vireid.inference")

BATCH_SIZE = 64
LONGEST_WAIT = 30.0  # seconds between two lines of progress where there is no terminal


@dataclass
class Counts:
    """What a call has embedded so far.

    Attributes:
        found: number of images by modality.
        contradictions: by the modality that was said, how many look like the other one, and the first of them.
    """

    found: dict[Modality, int] = field(default_factory=lambda: {Modality.VISIBLE: 0, Modality.INFRARED: 0})
    contradictions: dict[Modality, tuple[int, str]] = field(default_factory=dict)

    def add(self, image: AnyImage, ready: Ready) -> None:
        """Count an image."""
        self.found[ready.modality] += 1
        if ready.contradiction:
            count, first = self.contradictions.get(ready.modality, (0, _name(image)))
            self.contradictions[ready.modality] = count + 1, first

    def log(self) -> None:
        """Say what was found, and warn where many images look like the other modality."""
        visible, infrared = self.found[Modality.VISIBLE], self.found[Modality.INFRARED]
        logger.info("embedded %d images: %d visible, %d infrared", visible + infrared, visible, infrared)
        count, first = self.contradictions.get(Modality.INFRARED, (0, ""))
        if count:
            logger.warning(
                "%d of %d images said to be infrared have color, such as %s: are they visible?",
                count,
                infrared,
                first,
            )
        count, first = self.contradictions.get(Modality.VISIBLE, (0, ""))
        if 2 * count > visible:  # a single visible image may have been taken in the dark
            logger.warning(
                "%d of %d images said to be visible have no color, such as %s: are they infrared?",
                count,
                visible,
                first,
            )


class Embedder:
    """Embeds images with a trained model, as an evaluation does.

    Args:
        network: see ``Network``; ``from_config`` and ``from_exported`` make one.
        batch_size: images that go through the network together.
        threads: that read and resize images meanwhile; None: one for each core, at most 8.
    """

    def __init__(self, network: Network, batch_size: int = BATCH_SIZE, threads: int | None = None) -> None:
        self.network = network
        self.batch_size = batch_size
        self.threads = threads or min(8, len(os.sched_getaffinity(0)))

    @classmethod
    def from_config(
        cls,
        config_file: "str | Path | CfgNode",
        weights: str | Path,
        device: str | None = None,
        *,
        opts: Sequence[str] = (),
        batch_size: int = BATCH_SIZE,
    ) -> "Embedder":
        """The model of a config; FastReID is needed.

        Args:
            config_file: a file, a name such as "pmcm/sysu", or a config.
            weights: a checkpoint, or a safetensors file.
            device: such as "cpu" or "cuda:1"; None: a GPU where there is one.
            opts: settings that replace those of the config, keys and values in turn.
            batch_size: images that go through the network together.

        Raises:
            ConfigError, CheckpointError: as for an evaluation.
        """
        from vireid.engine import full_config
        from vireid.inference.trained import TrainedNetwork

        if isinstance(config_file, (str, Path)):
            cfg = full_config(str(config_file), list(opts))
        else:
            cfg = config_file.clone()
            cfg.defrost()
            cfg.merge_from_list(list(opts))
        cfg.MODEL.WEIGHTS = str(weights)
        return cls(TrainedNetwork(cfg, device), batch_size)

    @classmethod
    def from_exported(
        cls,
        path: str | Path,
        device: str | None = None,
        *,
        preprocessing: Preprocessing | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> "Embedder":
        """A file that ``vireid export`` wrote, ONNX or TorchScript; FastReID is not needed.

        Args:
            path: ``*.onnx`` or ``*.pt``.
            device: such as "cpu" or "cuda:1"; None: a GPU where the library can use one.
            preprocessing: for a file that does not say it.
            batch_size: images that go through the network together.

        Raises:
            CheckpointError: no such file, or it is damaged, or does not say how images are resized.
            ConfigError: onnxruntime is not installed.
        """
        from vireid.inference.exported import ExportedNetwork

        return cls(ExportedNetwork(path, device, preprocessing), batch_size)

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""
        return self.network.dimension

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the weights and the preprocessing: compare no embeddings of different ones."""
        return self.network.fingerprint

    def embed(
        self,
        images: AnyImage | Iterable[AnyImage],
        modality: str | Modality | Sequence[str | Modality] = AUTO,
        *,
        progress: bool | None = None,
    ) -> np.ndarray:
        """Embeddings of images, to be compared by their product, which is the cosine.

        Args:
            images: paths, Pillow images, arrays (H, W, 3) of uint8, tensors (3, H, W) of uint8, RGB, of any
                sizes, in any mixture; or a single one.
            modality: "visible", "infrared", or "auto": infrared where the three channels are equal (their
                mean difference is below 2 of 255, as in a gray JPEG). One for all images, or one for each.
            progress: show a bar; None: where standard error is a terminal and there are many images.

        Returns:
            (N, D) float32, L2-normalized, in the order of the images.

        Raises:
            ImageError: an image that cannot be read, or of another form.
        """
        given = list(one_by_one(images))
        modalities = one_modality_each(modality, len(given))
        vectors = np.empty((len(given), self.dimension), np.float32)
        bar = progress_bar(len(given), progress if len(given) > self.batch_size else bool(progress))
        counts = Counts()
        with bar:
            for first, batch, found in self.stream(given, modalities):
                for offset, ready in enumerate(batch):
                    if ready.fault:
                        raise ImageError(ready.fault)
                    counts.add(given[first + offset], ready)
                vectors[first : first + len(batch)] = found
                bar.update(len(batch))
        counts.log()
        return vectors

    def stream(
        self, images: Iterable[AnyImage], modalities: Iterable[str]
    ) -> Iterator[tuple[int, list[Ready], np.ndarray]]:
        """Embed batch by batch, while threads read the next images.

        Yields:
            The number of the batch's first image; its images; and (n, D) float32, L2-normalized, NaN for an
            image that has a ``fault``.
        """
        first = 0
        with ThreadPoolExecutor(self.threads, thread_name_prefix="images") as pool:
            preprocessing = self.network.preprocessing
            left = zip(images, modalities)
            waiting: deque[Future[Ready]] = deque()

            def submit(count: int) -> None:
                for image, modality in islice(left, count):
                    waiting.append(pool.submit(make_ready, image, modality, preprocessing))

            try:
                submit(2 * self.batch_size)
                while waiting:
                    batch = [waiting.popleft().result() for _ in range(min(self.batch_size, len(waiting)))]
                    submit(len(batch))
                    yield first, batch, self._embed(batch)
                    first += len(batch)
            finally:
                for future in waiting:
                    future.cancel()

    def _embed(self, batch: list[Ready]) -> np.ndarray:
        vectors = np.full((len(batch), self.dimension), np.nan, np.float32)
        good = [number for number, ready in enumerate(batch) if not ready.fault]
        if not good:
            return vectors
        pixels = np.stack([batch[number].pixels for number in good])
        images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        modalities = np.array([int(batch[number].modality) for number in good], np.int64)
        embeddings = self.network(images, modalities)
        if self.network.preprocessing.flip:
            mirrored = self.network(np.ascontiguousarray(images[..., ::-1]), modalities)
            embeddings = (embeddings + mirrored) / 2
        vectors[good] = normalized(embeddings)
        return vectors


def normalized(vectors: np.ndarray) -> np.ndarray:
    """(N, D) float32 of length 1; a vector of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)


def progress_bar(total: int, shown: bool | None) -> Any:
    """Images done, images a second and time left: a bar on a terminal, a line now and then in a file.

    Args:
        total: number of images.
        shown: None: only on a terminal.
    """
    on_terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc="embedding",
        unit="img",
        smoothing=0.05,
        leave=False if on_terminal else None,
        mininterval=0.1 if on_terminal else LONGEST_WAIT,
        disable=not (on_terminal if shown is None else shown),
    )


def _name(image: AnyImage) -> str:
    return str(image) if isinstance(image, (str, os.PathLike)) else f"a {type(image).__name__}"
