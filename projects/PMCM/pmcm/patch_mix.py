"""Patch mixing: a visible and an infrared image of one person stitched into a new one."""

import torch
from torch import Tensor


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
