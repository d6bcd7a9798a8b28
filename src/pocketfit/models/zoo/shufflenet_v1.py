"""ShuffleNet: pointwise convolutions in groups, whose channels are shuffled in between."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.models.zoo.blocks import convolution, initialise, shuffle_channels

__all__ = ["ShuffleNetV1"]

# Channels of the first stage by the number of groups, such that all cost about 140 million MACs; each stage doubles it.
_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
_UNITS = (4, 8, 4)
_STEM = 24


class Unit(nn.Module):
    """Narrow in groups, shuffle, convolve each channel, widen in groups; then added to the input, or put behind it."""

    def __init__(self, channels: int, out_channels: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__()
        narrow = out_channels // 4
        made = out_channels - channels if stride == 2 else out_channels
        self.groups = first_groups
        self.narrow = convolution(channels, narrow, 1, groups=first_groups, activation=nn.ReLU())
        self.depthwise = convolution(narrow, narrow, 3, stride=stride, groups=narrow)
        self.widen = convolution(narrow, made, 1, groups=groups)
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the same size, or of half of it with more channels."""
        y = self.narrow(x)
        y = shuffle_channels(y, self.groups) if self.groups > 1 else y
        y = self.widen(self.depthwise(y))
        y = x + y if self.pool is None else torch.cat([self.pool(x), y], 1)
        return y.relu()


class ShuffleNetV1(nn.Module):
    """For any of the paper's numbers of groups.

    Args:
        groups: 1, 2, 3, 4 or 8.
        width: times the channels of every stage.
        classes: number of classes.

    Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", 2017,
        table 1.
    """

    input_shape = (3, 224, 224)

    def __init__(self, groups: int = 3, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, _STEM, 3, stride=2, activation=nn.ReLU()), nn.MaxPool2d(3, 2, 1))
        units, channels = [], _STEM
        for stage, count in enumerate(_UNITS):
            out_channels = int(_CHANNELS[groups] * width) * 2**stage
            for index in range(count):
                # The stem's channels are too few to be put into groups.
                first_groups = 1 if channels == _STEM else groups
                units.append(Unit(channels, out_channels, 1 if index else 2, groups, first_groups))
                channels = out_channels
        self.units = nn.Sequential(*units)
        self.classifier = nn.Linear(channels, classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×classes of images N×3×H×W."""
        logits: torch.Tensor = self.classifier(self.units(self.stem(x)).mean((2, 3)))
        return logits
