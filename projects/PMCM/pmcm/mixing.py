"""Patch mixing: a visible and an infrared image of one person are stitched into a new image."""

import torch
from torch import Tensor
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.registries import BATCH_TRANSFORM_REGISTRY

Batch = dict[str, Tensor]  # vireid.modeling, which also has it, imports the toolkit


def patch_mix(
    visible: Tensor,
    infrared: Tensor,
    ratio: float,
    patch_size: int = 16,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Stitch pairs of images together from their patches.

    Args:
        visible: (B, C, H, W), any dtype.
        infrared: (B, C, H, W), the partner of each visible image.
        ratio: share of visible patches, 0..1; exactly round(ratio * patches) of an image's patches
            (half to even), drawn uniformly and independently for each pair.
        patch_size: side of a patch in pixels.
        generator: source of randomness, on the images' device; torch's global one by default.

    Returns:
        The mixed images (B, C, H, W) and the mask (B, 1, H / patch_size, W / patch_size), True where
        the patch is the visible image's.

    Raises:
        ValueError: shapes that differ, a ratio outside 0..1, or a size that patch_size does not divide.

    Source: PMCM, arXiv 2302.08212; the exact count and the uniform draw are ours.
    """
    if visible.shape != infrared.shape:
        raise ValueError(f"visible images are {tuple(visible.shape)}, infrared {tuple(infrared.shape)}")
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is {ratio}; expected the share of visible patches, 0..1")
    batch, _, height, width = visible.shape
    if height % patch_size or width % patch_size:
        raise ValueError(f"images of {height}x{width} do not divide into patches of {patch_size}")
    rows, columns = height // patch_size, width // patch_size
    count = round(ratio * rows * columns)

    scores = torch.rand(batch, rows * columns, generator=generator, device=visible.device)
    chosen = scores.topk(count, dim=1).indices
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, chosen, True)
    mask = mask.view(batch, 1, rows, columns)
    pixels = mask.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
    return torch.where(pixels, visible, infrared), mask


@BATCH_TRANSFORM_REGISTRY.register()
class PatchMix:
    """Append to a batch one MIXED image for each pair of images of one identity, one of each modality.

    An identity of n visible and m infrared images gives min(n, m) pairs, drawn at random. The entry
    ``mixed_sources`` (M, 2) holds the positions of their visible and infrared images, and ``mixed_mask``
    (M, 1, rows, columns) is True where a patch is the visible image's.

    Args:
        ratio: share of visible patches.
        patch_size: side of a patch in pixels.
    """

    def __init__(self, ratio: float, patch_size: int):
        self.ratio, self.patch_size = ratio, patch_size

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PatchMix":
        ratio, patch_size = cfg.MODEL.PATCH_MIX.RATIO, cfg.MODEL.PATCH_MIX.PATCH_SIZE
        if any(side % patch_size for side in cfg.INPUT.SIZE_TRAIN):
            height, width = cfg.INPUT.SIZE_TRAIN
            raise ConfigError(
                f"INPUT.SIZE_TRAIN {height}x{width} does not divide into patches of "
                f"MODEL.PATCH_MIX.PATCH_SIZE {patch_size}; make both sides multiples of it"
            )
        return cls(ratio, patch_size)

    def __call__(self, batch: Batch) -> Batch:
        """batch: ordered by modality, without MIXED images -> the batch with them at its end."""
        images, targets = batch["images"], batch["targets"]
        sources = draw_pairs(targets, batch["modalities"])
        visible = sources[:, 0]
        there = sources.to(images.device, non_blocking=True)
        mixed, mask = patch_mix(images[there[:, 0]], images[there[:, 1]], self.ratio, self.patch_size)
        added = {
            "images": mixed,
            "targets": targets[visible],
            "camids": batch["camids"][visible],
            "modalities": torch.full_like(visible, Modality.MIXED),
        }
        if "views" in batch:
            added["views"] = batch["views"][visible]
        joined = {key: torch.cat([batch[key], value]) for key, value in added.items()}
        return {**batch, **joined, "mixed_sources": sources, "mixed_mask": mask}


def draw_pairs(targets: Tensor, modalities: Tensor) -> Tensor:
    """Random pairs of a visible and an infrared image of one identity, each image at most once.

    Args:
        targets: (N,) int64 identities, on the host, where their number is known at once.
        modalities: (N,) int64, on the host.

    Returns:
        (M, 2) int64 positions, ordered by identity; M is the sum of min(n_visible, n_infrared).
    """
    positions, keys = [], []
    for modality in (Modality.VISIBLE, Modality.INFRARED):
        members = torch.nonzero(modalities == modality).flatten()
        shuffled = members[torch.randperm(len(members), device=members.device)]
        identity, order = targets[shuffled].sort(stable=True)
        place = torch.arange(len(identity), device=identity.device)
        place_in_identity = place - torch.searchsorted(identity, identity)
        positions.append(shuffled[order])
        keys.append(identity * len(targets) + place_in_identity)
    visible = positions[0][torch.isin(keys[0], keys[1])]
    infrared = positions[1][torch.isin(keys[1], keys[0])]
    return torch.stack([visible, infrared], dim=1)
