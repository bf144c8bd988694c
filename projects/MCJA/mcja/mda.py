"""The modality distribution adapter of MCJA."""

import torch
from torch import Tensor, nn


class ModalityDistributionAdapter(nn.Module):
    """Gates the channels of a feature map by what it shows at a few attended places.

    M spatial attention maps pool the features to M vectors; a depthwise convolution joins them to one
    gate for each channel. At the start the output is the input: the weight of ``norm_bn`` is zero.

    Args:
        channels: of the feature map.
        num_modalities: M, the number of attention maps.

    Source: MCJA (Liang et al., IEEE TCSVT 2024), section MDA.
    """

    def __init__(self, channels: int, num_modalities: int):
        super().__init__()
        self.sc_conv = nn.Conv2d(channels, num_modalities, kernel_size=1)
        self.ca_conv = nn.Conv1d(channels, channels, kernel_size=num_modalities, groups=channels, bias=False)
        self.ca_bn = nn.BatchNorm1d(channels)
        self.norm_bn = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm_bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) -> (N, C, H, W)."""
        attention = self.sc_conv(x).flatten(2).softmax(dim=2)
        pooled = torch.einsum("ncp,nmp->ncm", x.flatten(2), attention.to(x.dtype))
        gate = self.ca_bn(self.ca_conv(pooled)).sigmoid()
        return self.norm_bn(x * gate.unsqueeze(3)) + x
