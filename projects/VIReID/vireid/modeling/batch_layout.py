"""How the images of a batch, and their branches, follow each other."""

import torch
from torch import Tensor

from vireid.modality import Modality
from vireid.modeling.losses.processes import gather_numbers


class BatchLayout:
    """How many images of each modality the batch in flight holds, in that order.

    One object is shared by the meta-architecture, which sets it, and every route, which reads it.

    An adapter may add branches of each image to the batch (``vireid.modeling.adapters``): features then come
    branch after branch, each in the order of the images. Head and losses in training take them ordered by
    modality again, within a modality by branch, so that a split by modality is a slice.

    Args:
        branches: how many features the backbone gives for an image: 1, or more with such an adapter.

    Attributes:
        sizes: this process's number of images of each modality.
        computed: the modalities whose copies compute something, be it for no image.
        mixed_sources, mixed_mask: of the mixed images, on the device of the images; None without any.
    """

    def __init__(self, branches: int = 1) -> None:
        self.branches = branches
        self.sizes: tuple[int, ...] = ()
        self.computed: list[Modality] = []
        self.mixed_sources: Tensor | None = None
        self.mixed_mask: Tensor | None = None

    def set(
        self, modalities: Tensor, mixed_sources: Tensor | None = None, mixed_mask: Tensor | None = None
    ) -> None:
        """Describe a batch.

        Args:
            modalities: (N,) int64, ascending, on the host: elsewhere, the device would be waited for.
            mixed_sources: (M, 2) positions of the two images that each mixed image is made of.
            mixed_mask: (M, 1, rows, columns) bool, True where a patch is the first one's.
        """
        self.mixed_sources, self.mixed_mask = mixed_sources, mixed_mask
        self.sizes = tuple(torch.bincount(modalities, minlength=len(Modality)).tolist())
        self.computed = [modality for modality in Modality if self.sizes[modality]]

    def share(self) -> None:
        """Let each process compute the copies that any of them has images for: a norm that asks all processes
        for its statistics (SyncBN) would wait for one that left it out."""
        totals = [sum(sizes) for sizes in zip(*gather_numbers(self.sizes))]
        self.computed = [modality for modality in Modality if totals[modality]]

    def with_branches(self) -> "BatchLayout":
        """The layout in which each branch of an image is an image of its own, ordered by modality."""
        layout = BatchLayout()
        layout.sizes = tuple(self.branches * size for size in self.sizes)
        layout.computed, layout.mixed_mask = self.computed, self.mixed_mask
        if self.mixed_sources is not None and self.mixed_mask is not None:
            branch_by_branch = torch.arange(sum(layout.sizes), device=self.mixed_sources.device)
            places = self.by_modality(branch_by_branch).argsort().view(self.branches, -1)
            layout.mixed_sources = places[:, self.mixed_sources].flatten(0, 1)
            layout.mixed_mask = self.mixed_mask.repeat(self.branches, 1, 1, 1)
        return layout

    def by_modality(self, x: Tensor) -> Tensor:
        """(branches N, ...), branch after branch -> ordered by modality, then by branch."""
        parts = [branch.split(self.sizes) for branch in x.chunk(self.branches)]
        return torch.cat([part for modality in zip(*parts) for part in modality])

    def by_branch(self, x: Tensor) -> Tensor:
        """The reverse of ``by_modality``."""
        of_modalities = x.split([self.branches * size for size in self.sizes])
        parts = [part.split([size] * self.branches) for part, size in zip(of_modalities, self.sizes)]
        return torch.cat([part for branch in zip(*parts) for part in branch])

    def expand(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A training batch without its images -> one with an entry for each branch of an image, ordered by
        modality; ``branches`` counts them, 0 for the image itself."""
        images, of_branches = sum(self.sizes), self.with_branches()
        device = batch["targets"].device
        expanded = {
            key: self.by_modality(value.repeat(self.branches, *[1] * (value.ndim - 1)))
            if value.ndim and len(value) == images
            else value
            for key, value in batch.items()
        }
        branches = torch.arange(self.branches, device=device).repeat_interleave(images)
        expanded["branches"] = self.by_modality(branches)
        if of_branches.mixed_sources is not None:
            expanded["mixed_sources"] = of_branches.mixed_sources
        return expanded


def of_each_image(embeddings: Tensor, branches: int) -> Tensor:
    """(branches N, D), branch after branch -> (N, branches D): the embeddings of its branches, joined."""
    if branches == 1:
        return embeddings
    return embeddings.unflatten(0, (branches, -1)).transpose(0, 1).flatten(1)
