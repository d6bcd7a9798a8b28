"""ShuffleNet V2: half of the channels pass by, and are shuffled among the others."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.models.zoo.blocks import convolution, initialise, shuffle_channels

__all__ = ["ShuffleNetV2"]

# Channels of the three stages and of the last convolution, by width.
_CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
_UNITS = (4, 8, 4)
_STEM = 24


class Unit(nn.Module):
    """One half of the channels as it is, the other through three convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, stride=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the same shape."""
        kept, changed = x.chunk(2, 1)
        return shuffle_channels(torch.cat([kept, self.branch(changed)], 1), 2)


class Downsampling(nn.Module):
    """Two branches over all channels, each giving half of the new ones in half the size."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.short = nn.Sequential(
            convolution(channels, channels, 3, stride=2, groups=channels),
            convolution(channels, out_channels // 2, 1, activation=nn.ReLU()),
        )
        self.long = _branch(channels, out_channels // 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features N×out_channels×H/2×W/2 of N×channels×H×W."""
        return shuffle_channels(torch.cat([self.short(x), self.long(x)], 1), 2)


class ShuffleNetV2(nn.Module):
    """In the four widths of the paper.

    Args:
        width: 0.5, 1.0, 1.5 or 2.0.
        classes: number of classes.

    Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018, table 5.
    """

    input_shape = (3, 224, 224)

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        *stages, last = _CHANNELS[width]
        self.stem = nn.Sequential(convolution(3, _STEM, 3, stride=2, activation=nn.ReLU()), nn.MaxPool2d(3, 2, 1))
        units: list[nn.Module] = []
        channels = _STEM
        for out_channels, count in zip(stages, _UNITS, strict=True):
            units += [Downsampling(channels, out_channels), *(Unit(out_channels) for _ in range(count - 1))]
            channels = out_channels
        self.units = nn.Sequential(*units)
        self.last = convolution(channels, last, 1, activation=nn.ReLU())
        self.classifier = nn.Linear(last, classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×classes of images N×3×H×W."""
        logits: torch.Tensor = self.classifier(self.last(self.units(self.stem(x))).mean((2, 3)))
        return logits


def _branch(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(channels, out_channels, 1, activation=nn.ReLU()),
        convolution(out_channels, out_channels, 3, stride=stride, groups=out_channels),
        convolution(out_channels, out_channels, 1, activation=nn.ReLU()),
    )
