"""Where the cells of a feature map lie in the image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from vireid.modeling.modes import evaluation_mode

# Of rows and of columns: the pixel at the center of the first cell, and the pixels from one cell to the next.
Centers = Sequence[tuple[float, float]]

STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


@torch.no_grad()
def cell_centers(model: nn.Module, batch: dict[str, Any], shape: tuple[int, int]) -> Centers:
    """Where the cells of the backbone's map lie in the image.

    They follow from kernel, stride and padding of the modules that make the map smaller: a convolution of
    kernel 3, stride 2 and padding 1 has its first center at the first pixel, one of kernel 2 and stride 2
    between the first two. Where these modules do not explain the map's shape, its cells divide the image.

    Args:
        model: the meta-architecture; its ``backbone`` gives the map.
        batch: what it takes, with images (N, 3, H, W).
        shape: (h, w) of the map.
    """
    steps: dict[torch.Size, tuple[Any, ...]] = {}

    def note(module: Any, inputs: Any, output: Tensor) -> None:
        stride = _pair(module.stride)
        if max(stride) > 1:  # of branches beside each other, and of two stems, the first one counts
            steps.setdefault(inputs[0].shape[2:], (module, stride))

    backbone: Any = model.backbone
    strided = [module for module in backbone.modules() if isinstance(module, STRIDED)]
    handles = [module.register_forward_hook(note) for module in strided]
    try:
        with evaluation_mode(model):
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for axis in (0, 1):
        first, step = 0.0, 1
        for module, stride in steps.values():
            reach = (_pair(module.kernel_size)[axis] - 1) * _pair(getattr(module, "dilation", 1))[axis]
            first += step * (reach / 2 - _pair(module.padding)[axis])
            step *= stride[axis]
        size, cells = batch["images"].shape[2 + axis], shape[axis]
        explained = abs(size / step / cells - 1) < 0.5  # overlapping patches are a few less
        found.append((first, float(step)) if explained else ((size / cells - 1) / 2, size / cells))
    return found


def enlarged(maps: Tensor, size: tuple[int, int], centers: Centers) -> Tensor:
    """(N, H, W): maps (N, h, w) as large as the image, each cell's value at its center.

    Args:
        size: (H, W).
        centers: of ``cell_centers``.
    """
    places = []
    for pixels, cells, (first, step) in zip(size, maps.shape[1:], centers):
        cell = (torch.arange(pixels) - first) / step
        places.append(2 * cell / max(cells - 1, 1) - 1)
    grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], dim=2)
    grid = grid.expand(len(maps), -1, -1, -1).to(maps)
    return grid_sample(maps[:, None], grid, "bicubic", "border", align_corners=True)[:, 0]


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)
