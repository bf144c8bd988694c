"""MFA, the multistage feature aggregation: a stage's feature map attends over the map before the stage."""

from torch import Tensor, nn


class ChannelNonLocal(nn.Module):
    """Attention of the channels of a map over those of an earlier map.

    Args:
        high: channels of the map.
        low: channels of the earlier map.
        stride: of the map, relative to the earlier one.
    """

    def __init__(self, high: int, low: int, stride: int):
        super().__init__()
        self.g = nn.Conv2d(low, low, kernel_size=1)
        self.theta = nn.Conv2d(high, low, kernel_size=1)
        self.phi = nn.Conv2d(low, low, kernel_size=1, stride=stride)
        self.W = added(low, high, stride)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: (N, high, H, W); before: (N, low, stride H, stride W) -> (N, high, H, W)."""
        energy = self.theta(x).flatten(2) @ self.phi(before).flatten(2).transpose(1, 2)
        attended = energy / energy.shape[2] @ self.g(before).flatten(2)
        mapped: Tensor = self.W(attended.view_as(before))
        return mapped + x


class PixelNonLocal(nn.Module):
    """Attention of the places of a map over those of an earlier map.

    The published code takes half of the channels, and cuts each into two halves of its places, which count
    as channels. So does this; where a map has an odd number of places, channels stay whole.

    Args:
        high: channels of the map.
        low: channels of the earlier map.
    """

    def __init__(self, high: int, low: int):
        super().__init__()
        self.g = nn.Conv2d(low, low // 2, kernel_size=1)
        self.theta = nn.Conv2d(high, low // 2, kernel_size=1)
        self.phi = nn.Conv2d(low, low // 2, kernel_size=1)
        self.W = added(low // 2, high)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: (N, high, H, W); before: (N, low, H', W') -> (N, high, H, W)."""
        odd = x.shape[2] * x.shape[3] % 2 or before.shape[2] * before.shape[3] % 2
        rows = self.g.out_channels * (1 if odd else 2)
        theta = self.theta(x)
        query, key, value = (
            part.reshape(len(x), rows, -1) for part in (theta, self.phi(before), self.g(before))
        )
        # (query' key) value' is query' (key value'), which no matrix of all pairs of places is needed for.
        attended = (value @ key.transpose(1, 2) / key.shape[2]) @ query
        mapped: Tensor = self.W(attended.view_as(theta))
        return mapped + x


class MultistageAggregation(nn.Module):
    """A channel non-local block, then a pixel one; each starts as the identity.

    Parameters have the names of the published code.

    Args:
        high: channels of a stage's map.
        low: channels of the map before the stage, 2 or more.
        stride: of the stage.

    Source: DEEN (Zhang and Wang, CVPR 2023), and its published code.
    """

    def __init__(self, high: int, low: int, stride: int = 1):
        super().__init__()
        self.CNL = ChannelNonLocal(high, low, stride)
        self.PNL = PixelNonLocal(high, low)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: (N, high, H, W); before: (N, low, stride H, stride W) -> (N, high, H, W)."""
        aggregated: Tensor = self.PNL(self.CNL(x, before), before)
        return aggregated


def added(channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A 1x1 convolution and a batch norm that starts at 0: what a block adds to its map."""
    norm = nn.BatchNorm2d(out_channels)
    nn.init.zeros_(norm.weight)
    return nn.Sequential(nn.Conv2d(channels, out_channels, kernel_size=1, stride=stride), norm)
