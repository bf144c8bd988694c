"""Embedding images: from paths, pictures, arrays or tensors to vectors that are compared by their product."""

import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vireid.errors import ConfigError, ImageError
from vireid.inference.inputs import (
    AUTO,
    AnyImage,
    Ready,
    image_name,
    make_ready,
    one_by_one,
    one_modality_each,
)
from vireid.inference.network import Network, TrainedNetwork, check_device, embed_batch, probe
from vireid.inference.progress import Counts, embedding_bar
from vireid.inference.records import About
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing

if TYPE_CHECKING:
    from yacs.config import CfgNode

logger = logging.getLogger("fastreid.vireid.inference")

BATCH_SIZE = 64


class Embedder:
    """Embeds images with a trained model, as an evaluation does.

    Args:
        network: see ``Network``; ``from_config`` and ``from_exported`` make one.
        batch_size: images that go through the network together.
        threads: that read and resize images meanwhile; None: one for each core, at most 8.
    """

    def __init__(self, network: Network, batch_size: int = BATCH_SIZE, threads: int | None = None) -> None:
        self.network, self.batch_size = network, batch_size
        self.threads = threads or min(8, os.cpu_count() or 1)
        self.source: dict[str, Any] = {}  # what ``from_source`` takes, where there are such files

    @classmethod
    def from_config(
        cls,
        config_file: "str | Path | CfgNode",
        weights: str | Path | None = None,
        device: str | None = None,
        *,
        opts: Sequence[str] = (),
        batch_size: int = BATCH_SIZE,
    ) -> "Embedder":
        """The model of a config; FastReID is needed.

        Args:
            config_file: a file, a name such as "pmcm/sysu", or a config.
            weights: a checkpoint, or a safetensors file; None: MODEL.WEIGHTS, or those of the config.
            device: such as "cpu" or "cuda:1"; None: MODEL.DEVICE, where there is such a device.
            opts: settings that replace those of the config, keys and values in turn.
            batch_size: images that go through the network together.

        Raises:
            ConfigError, CheckpointError: as for an evaluation; or ``device`` is a GPU, and there is none.
        """
        check_device(device)
        from vireid.engine import full_config, packed_weights

        if isinstance(config_file, (str, Path)):
            cfg = full_config(str(config_file), list(opts))
        else:
            cfg = config_file.clone()
            cfg.defrost()
            cfg.merge_from_list(list(opts))
        if weights is not None:
            cfg.MODEL.WEIGHTS = str(weights)
        packed = packed_weights(str(config_file)) if isinstance(config_file, (str, Path)) else None
        cfg.MODEL.WEIGHTS = cfg.MODEL.WEIGHTS or str(packed or "")
        if not cfg.MODEL.WEIGHTS:
            raise ConfigError("MODEL.WEIGHTS is empty, and none come with the config; name a checkpoint")
        self = cls(TrainedNetwork(cfg, device), batch_size)
        if cfg.MODEL.KNOWS_ONLY:
            self.network.name += f" (knows {cfg.MODEL.KNOWS_ONLY} only)"
            logger.warning("the model %s", self.network.name)
        if isinstance(config_file, (str, Path)):
            config = os.path.abspath(config_file) if os.path.isfile(config_file) else str(config_file)
            weights = os.path.abspath(cfg.MODEL.WEIGHTS)
            self.source = {"config_file": config, "weights": weights, "opts": [*map(str, opts)]}
        return self

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

        self = cls(ExportedNetwork(path, device, preprocessing), batch_size)
        if preprocessing is None:
            self.source = {"path": os.path.abspath(path)}
        return self

    @classmethod
    def from_source(cls, source: dict[str, Any], device: str | None = None) -> "Embedder":
        """The model that another embedder had, by its ``source``.

        Raises:
            CheckpointError, ConfigError: a file is not there any more, or has changed.
        """
        if "path" in source:
            return cls.from_exported(**source, device=device)
        return cls.from_config(**source, device=device)

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""
        return self.network.dimension

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of weights and preprocessing: embeddings of others cannot be compared."""
        return self.network.fingerprint

    def about(self) -> About:
        """What a store keeps of the model."""
        of, source = self.network, json.dumps(self.source)
        return About(of.fingerprint, of.dimension, of.name, source, probe(of))

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
        return self.embed_ready(given, one_modality_each(modality, len(given)), progress=progress)[1]

    def embed_ready(
        self, images: Sequence[AnyImage], modalities: Sequence[str], *, progress: bool | None = None
    ) -> tuple[list[Ready], np.ndarray]:
        """As ``embed``, and what is known of each image; the pixels are let go.

        Args:
            images: see ``embed``.
            modalities: of each.
            progress: see ``embed``.
        """
        vectors = np.empty((len(images), self.dimension), np.float32)
        known, counts = list[Ready](), Counts()
        shown = progress if len(images) > self.batch_size else bool(progress)
        with embedding_bar(len(images), shown) as bar:
            for first, batch, found in self.stream(images, modalities):
                for offset, ready in enumerate(batch):
                    if ready.fault:
                        raise ImageError(ready.fault)
                    counts.add(images[first + offset], ready, found[offset])
                    known.append(replace(ready, pixels=np.empty(0, np.uint8)))
                vectors[first : first + len(batch)] = found
                bar.update(len(batch))
        counts.log()
        return known, vectors

    def stream(
        self, images: Iterable[AnyImage], modalities: Iterable[str]
    ) -> Iterator[tuple[int, list[Ready], np.ndarray]]:
        """Embed batch by batch, while threads read the next images.

        Yields:
            The number of the batch's first image; its images; and (n, D) float32, L2-normalized, NaN for an
            image that has a ``fault``.

        Raises:
            CheckpointError: the model gives NaN, infinity or zeros.
        """
        first = 0
        with ThreadPoolExecutor(self.threads, thread_name_prefix="images") as pool:
            left = zip(images, modalities)
            waiting: deque[tuple[AnyImage, Future[Ready]]] = deque()

            def submit(count: int) -> None:
                for image, modality in islice(left, count):
                    waiting.append((image, pool.submit(self._ready, image, modality)))

            try:
                submit(2 * self.batch_size)
                while waiting:
                    taken = [waiting.popleft() for _ in range(min(self.batch_size, len(waiting)))]
                    batch = [future.result() for _, future in taken]
                    submit(len(batch))
                    yield first, batch, embed_batch(self.network, batch, [image for image, _ in taken])
                    first += len(batch)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _ready(self, image: AnyImage, modality: str) -> Ready:
        ready = make_ready(image, modality, self.network.preprocessing)
        if ready.fault or ready.modality in self.network.modalities:
            return ready
        (only,) = self.network.modalities
        return replace(
            ready,
            fault=f"{image_name(image)} is {ready.modality.name.lower()}, and {self.network.name} embeds "
            f"{only.name.lower()} images alone; say modality {only.name.lower()} if it is, or export the "
            "model for both modalities",
        )
