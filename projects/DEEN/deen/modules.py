"""The modules of DEEN (Zhang and Wang, CVPR 2023); parameters have the names of its published code."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DiverseEmbeddingExpansion(nn.Module):
    """DEE: a batch becomes itself, then a first branch of each image, then a second one.

    A branch is the mean of three dilated convolutions to a quarter of the channels, ReLU, and a 1x1
    convolution back.

    Args:
        channels: of the feature map.
        dropout: share of the values of the result that training drops.
    """

    def __init__(self, channels: int, dropout: float = 0.01):
        super().__init__()
        inner = max(1, channels // 4)
        for branch in ("FC1", "FC2"):
            for d in (1, 2, 3):
                self.add_module(f"{branch}{d}", nn.Conv2d(channels, inner, 3, 1, d, d, bias=False))
            self.add_module(branch, nn.Conv2d(inner, channels, kernel_size=1))
        for weight in (parameter for parameter in self.parameters() if parameter.ndim > 1):
            nn.init.kaiming_normal_(weight)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) -> (3 N, C, H, W)."""
        return self.dropout(torch.cat([x, self._branch(x, "FC1"), self._branch(x, "FC2")]))

    def _branch(self, x: Tensor, branch: str) -> Tensor:
        mean = torch.stack([self.get_submodule(f"{branch}{d}")(x) for d in (1, 2, 3)]).mean(dim=0)
        return self.get_submodule(branch)(F.relu(mean))


class NonLocal(nn.Module):
    """The layers of a block of MFA: of a map, of an earlier one, and of what is added to the map, first 0."""

    def __init__(self, high: int, low: int, inner: int, stride: int = 1):
        super().__init__()
        self.g = nn.Conv2d(low, inner, kernel_size=1)
        self.theta = nn.Conv2d(high, inner, kernel_size=1)
        self.phi = nn.Conv2d(low, inner, kernel_size=1, stride=stride)
        norm = nn.BatchNorm2d(high)
        nn.init.zeros_(norm.weight)
        self.W = nn.Sequential(nn.Conv2d(inner, high, kernel_size=1, stride=stride), norm)


class ChannelNonLocal(NonLocal):
    """Attention of the channels of a map over those of an earlier map."""

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: (N, high, H, W); before: (N, low, stride H, stride W) -> (N, high, H, W)."""
        phi = self.phi(before).flatten(2).transpose(1, 2)
        # Divided before the sum over all places, which would be too large for fp16.
        energy = self.theta(x).flatten(2) @ (phi / phi.shape[2])
        attended = energy @ self.g(before).flatten(2)
        return x + self.W(attended.reshape_as(before))


class PixelNonLocal(NonLocal):
    """Attention of the places of a map over those of an earlier map.

    As published, a channel counts as two, one for each half of its places. Where a map has an odd number of
    places, channels stay whole.
    """

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: (N, high, H, W); before: (N, low, H', W') -> (N, high, H, W)."""
        theta, phi, g = self.theta(x), self.phi(before), self.g(before)
        odd = any(part.shape[2] * part.shape[3] % 2 for part in (theta, phi))
        rows = theta.shape[1] * (1 if odd else 2)
        query, key, value = (part.flatten(1).unflatten(1, (rows, -1)) for part in (theta, phi, g))
        # (query' key) value' is query' (key value'), which needs no matrix of all pairs of places.
        attended = value @ (key / key.shape[2]).transpose(1, 2) @ query
        return x + self.W(attended.reshape_as(theta))


class MultistageAggregation(nn.Module):
    """MFA: a channel non-local block, then a pixel one; each starts as the identity.

    Args:
        high, low: channels of a stage's map, and of the map before the stage.
        stride: of the stage.
        inputs: where the maps before the stages wait, in the order of the calls; none if they are given.
    """

    def __init__(self, high: int, low: int, stride: int = 1, inputs: list[Tensor] | None = None):
        super().__init__()
        self.CNL = ChannelNonLocal(high, low, low, stride)
        self.PNL = PixelNonLocal(high, low, max(1, low // 2))
        self.inputs = [] if inputs is None else inputs

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """x: (N, high, H, W); before: (N, low, stride H, stride W) -> (N, high, H, W)."""
        before = self.inputs.pop(0) if before is None else before
        return self.PNL(self.CNL(x, before), before)
