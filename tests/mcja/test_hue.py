"""The compiled turn of the hue against Pillow's own conversions."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import adjust_hue

from mcja.hue import turned_hue
from mcja.vimc import HueJitter


def pillows(image, share):
    """The turn as torchvision does it, of uint8 (3, H, W)."""
    turned = adjust_hue(Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()), share)
    return torch.from_numpy(np.array(turned)).permute(2, 0, 1)


@pytest.mark.parametrize("share", [-0.5, -0.2, -0.001, 0.0, 0.003, 0.17, 0.5])
def test_a_turn_is_pillows_to_the_last_bit(share):
    # All shades of red with a third of all greens and blues, in all orders of the channels.
    red, green, blue = torch.meshgrid(
        torch.arange(256), torch.arange(0, 256, 3), torch.arange(0, 256, 5), indexing="ij"
    )
    colors = torch.stack([red, green, blue]).to(torch.uint8).reshape(3, 256, -1)
    for order in ([0, 1, 2], [1, 2, 0], [2, 1, 0]):
        image = colors[order]
        assert torch.equal(turned_hue(image, share), pillows(image, share))


def test_the_jitter_is_torchvisions_of_the_same_draw(monkeypatch):
    image = torch.randint(0, 256, (3, 20, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    assert torch.equal(HueJitter(1.0, 0.2)(image), pillows(image, 0.2))
