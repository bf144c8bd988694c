"""DEE, the diverse embedding expansion: an image goes on as itself and as two branches made of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DILATIONS = (1, 2, 3)


class DiverseEmbeddingExpansion(nn.Module):
    """A batch becomes itself, then a first branch of each image, then a second one.

    A branch is the mean of three dilated convolutions to a quarter of the channels, ReLU, and a 1x1
    convolution back. Parameters have the names of the published code.

    Args:
        channels: of the feature map, 4 or more.
        dropout: share of the values of the result that training drops.

    Source: DEEN (Zhang and Wang, CVPR 2023), and its published code.
    """

    def __init__(self, channels: int, dropout: float = 0.01):
        super().__init__()
        for branch in ("FC1", "FC2"):
            for number, dilation in enumerate(DILATIONS, start=1):
                convolution = nn.Conv2d(
                    channels, channels // 4, 3, padding=dilation, dilation=dilation, bias=False
                )
                self.add_module(f"{branch}{number}", convolution)
            self.add_module(branch, nn.Conv2d(channels // 4, channels, kernel_size=1))
        for convolution in self.children():
            nn.init.kaiming_normal_(convolution.weight)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) -> (3 N, C, H, W)."""
        return self.dropout(torch.cat([x, self._branch(x, "FC1"), self._branch(x, "FC2")]))

    def _branch(self, x: Tensor, branch: str) -> Tensor:
        dilated = [self.get_submodule(f"{branch}{number}")(x) for number in (1, 2, 3)]
        expanded: Tensor = self.get_submodule(branch)(F.relu(sum(dilated) / len(dilated)))
        return expanded
