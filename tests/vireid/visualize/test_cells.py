"""Where the cells of a map lie, against the pixels that reach them."""

import pytest
import torch
from torch import nn

from vireid.visualize.cells import cell_centers, enlarged


class Linear(nn.Module):
    """A backbone of averages, so that the center of the pixels that reach a cell is that of its weights."""

    def __init__(self, *layers):
        super().__init__()
        parts = []
        for kernel, stride, padding in layers:
            layer = nn.Conv2d(1, 1, kernel, stride, padding, bias=False)
            nn.init.ones_(layer.weight)
            parts.append(layer)
        self.backbone = nn.Sequential(*parts)

    def forward(self, batch):
        return self.backbone(batch["images"])


RESNET = [(7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 2, 1)]
LAYERS = {
    "resnet": RESNET,
    "unpadded pool": [(7, 2, 3), (3, 2, 0), (3, 2, 1)],
    "patches": [(4, 4, 0), (2, 2, 0), (7, 1, 3)],
    "overlapping patches": [(16, 12, 0)],
    "no stride": [(3, 1, 1)],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_centers_are_those_of_the_pixels_that_reach_a_cell(layers):
    model = Linear(*layers)
    images = torch.ones(1, 1, 128, 96, requires_grad=True)
    features = model({"images": images})
    rows, columns = features.shape[2:]
    row, column = rows // 2, columns // 2  # whose pixels are all in the image
    (reaching,) = torch.autograd.grad(features[0, 0, row, column], images)
    centers = cell_centers(model, {"images": images}, (rows, columns))
    for axis, (cell, (first, step)) in enumerate(zip((row, column), centers)):
        weights = reaching[0, 0].sum(dim=1 - axis)
        center = (weights * torch.arange(len(weights))).sum() / weights.sum()
        assert first + step * cell == pytest.approx(float(center))


def test_cells_divide_the_image_where_no_stride_explains_them():
    model = Linear((3, 1, 1))
    images = torch.ones(1, 1, 64, 32)
    assert cell_centers(model, {"images": images}, (8, 4)) == [(3.5, 8.0), (3.5, 8.0)]


@pytest.mark.parametrize("first", [0, 1, 4])
def test_an_enlarged_map_has_each_value_at_its_center_and_no_more_beyond_the_outer_ones(first):
    maps = torch.rand(2, 8, 6, generator=torch.Generator().manual_seed(0))
    large = enlarged(maps, (64, 48), [(float(first), 8.0), (float(first), 8.0)])
    assert large.shape == (2, 64, 48)
    torch.testing.assert_close(large[:, first::8, first::8], maps)
    constant = enlarged(torch.full((1, 8, 6), 0.7), (64, 48), [(3.5, 8.0), (3.5, 8.0)])
    torch.testing.assert_close(constant, torch.full((1, 64, 48), 0.7))
