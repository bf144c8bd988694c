"""A two-stream model as a graph without choices in Python, for tracing."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from vireid.modality import Modality
from vireid.modeling.batch_layout import of_each_image
from vireid.modeling.two_stream import ModalityRoute


class CurrentBatch:
    """The modalities of the batch in flight, which a graph shares with its routes."""

    modalities: Tensor


class SelectRoute(nn.Module):
    """Stands in a graph for a ModalityRoute: both copies see every image, and each keeps its own.

    So the batch may hold any mix in any order, at the price of computing the copies twice.

    Args:
        route: whose copies for visible and infrared images are taken.
        batch: whose (N,) modalities decide, of images and of each of their branches.
    """

    def __init__(self, route: ModalityRoute, batch: CurrentBatch):
        super().__init__()
        self.visible, self.infrared, self.batch = route.visible, route.infrared, batch
        self.branches = route.layout.branches

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, ...) -> (N, ...) in the order of the batch."""
        visible, infrared = self.visible(x), self.infrared(x)
        chosen = (self.batch.modalities == int(Modality.INFRARED)).reshape(-1, *[1] * (visible.ndim - 1))
        if self.branches == 1:
            return torch.where(chosen, infrared, visible)
        # Before the adapter that adds branches, there is one of each image.
        images = self.batch.modalities.shape[0]
        visible, infrared = (x.reshape(-1, images, *x.shape[1:]) for x in (visible, infrared))
        return torch.where(chosen, infrared, visible).flatten(0, 1)


class EmbeddingGraph(nn.Module):
    """Images in 0..255 to embeddings, normalization and neck included, without a choice in Python.

    Args:
        model: the meta-architecture, which is left as it is.
        modality: "visible" or "infrared": only that copy of each stem is kept; "both": forward() takes
            the modalities, too, unless the model is of one stream.

    Attributes:
        inputs: names of what forward() takes.
    """

    def __init__(self, model: Any, modality: str):
        super().__init__()
        self.backbone, self.heads = copy.deepcopy(model.backbone), copy.deepcopy(model.heads)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", model.pixel_mean.clone())
        self.register_buffer("pixel_std", model.pixel_std.clone())
        self.batch, self.branches = CurrentBatch(), model.layout.branches
        self.inputs = ["images"]
        for name, module in list(self.backbone.named_modules()):
            if isinstance(module, ModalityRoute):
                if modality == "both":
                    kept: nn.Module = SelectRoute(module, self.batch)
                    self.inputs = ["images", "modalities"]
                else:
                    kept = getattr(module, modality)
                parent, _, child = name.rpartition(".")
                setattr(self.backbone.get_submodule(parent), child, kept)
        self.eval()

    def forward(self, images: Tensor, modalities: Tensor | None = None) -> Tensor:
        """images: (N, 3, H, W) in 0..255, uint8 or float; modalities: (N,) int64 -> (N, D) float32."""
        if modalities is not None:
            self.batch.modalities = modalities
        normalized = (images.to(torch.float32) - self.pixel_mean) / self.pixel_std
        return of_each_image(self.heads(self.backbone(normalized)), self.branches)


def random_images(count: int, size: tuple[int, int]) -> Tensor:
    """(count, 3, H, W) uint8, the same ones for a count."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 3, *size), generator=generator, dtype=torch.uint8)


def example(graph: EmbeddingGraph, size: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Inputs of the graph, a batch of two."""
    inputs = {"images": random_images(2, size).to(dtype), "modalities": torch.tensor([0, 1])}
    return tuple(inputs[name] for name in graph.inputs)
