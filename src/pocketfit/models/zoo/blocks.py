"""What several families are built of."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["convolution", "initialise", "shuffle_channels"]


def convolution(
    channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    """A convolution that keeps the size, up to its stride; behind it batch norm and, where given, an activation."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        *([] if activation is None else [activation]),
    )


def shuffle_channels(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Deal the channels of N×C×H×W out anew, so that each group gets some of every group.

    Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", 2017,
    figure 1c.
    """
    channels, height, width = x.shape[1:]
    grouped = x.reshape(-1, groups, channels // groups, height, width)
    return grouped.transpose(1, 2).reshape(-1, channels, height, width)


def initialise(network: nn.Module) -> None:
    """Weights for training from nothing, in place: He's for convolutions, small ones for linear layers."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
