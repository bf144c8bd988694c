"""Patch mixing as a batch transform: mixed images join the batch they are made of."""

import torch
from torch import Tensor
from yacs.config import CfgNode

from pmcm.patch_mix import patch_mix
from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.modeling.batch_transforms import BATCH_TRANSFORM_REGISTRY, Batch


@BATCH_TRANSFORM_REGISTRY.register()
class PatchMix:
    """Append to a batch one MIXED image for each pair of images of one identity, one of each modality.

    An identity of n visible and m infrared images gives min(n, m) pairs, drawn at random. The entry
    ``mixed_sources`` (M, 2) holds the positions of their visible and infrared images.

    Args:
        ratio: share of visible patches.
        patch_size: side of a patch in pixels.
    """

    def __init__(self, ratio: float = 0.5, patch_size: int = 16):
        self.ratio, self.patch_size = ratio, patch_size

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PatchMix":
        ratio, patch_size = cfg.MODEL.PATCH_MIX.RATIO, cfg.MODEL.PATCH_MIX.PATCH_SIZE
        if not 0 <= ratio <= 1:
            raise ConfigError(
                f"MODEL.PATCH_MIX.RATIO is {ratio}; expected the share of visible patches, 0..1"
            )
        if patch_size < 1 or any(side % patch_size for side in cfg.INPUT.SIZE_TRAIN):
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
        visible, infrared = sources.unbind(1)
        mixed, _ = patch_mix(images[visible], images[infrared], self.ratio, self.patch_size)
        added = {
            "images": mixed,
            "targets": targets[visible],
            "camids": batch["camids"][visible],
            "modalities": torch.full_like(visible, Modality.MIXED),
        }
        joined = {key: torch.cat([batch[key], value]) for key, value in added.items()}
        return {**batch, **joined, "mixed_sources": sources}


def draw_pairs(targets: Tensor, modalities: Tensor) -> Tensor:
    """Random pairs of a visible and an infrared image of one identity, each image at most once.

    Args:
        targets: (N,) int64 identities.
        modalities: (N,) int64.

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
