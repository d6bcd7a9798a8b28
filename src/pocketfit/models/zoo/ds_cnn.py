"""DS-CNN: keywords in a second of speech, on a microcontroller."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.models.zoo.blocks import convolution, initialise

__all__ = ["DsCnn"]

# Channels, stride of the first convolution, stride of the first block, number of blocks.
_SIZES = {"s": (64, (2, 2), 1, 4), "m": (172, (2, 1), 2, 4), "l": (276, (2, 1), 2, 5)}


class DsCnn(nn.Module):
    """Depthwise separable convolutions over mel-frequency coefficients, one row for each of 49 frames.

    Args:
        size: "s", "m" or "l": about 23, 140 and 420 thousand parameters.
        classes: keywords, with silence and the unknown.

    Source: Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", 2017, table 8.
    """

    input_shape = (1, 49, 10)

    def __init__(self, size: str = "s", classes: int = 12) -> None:
        super().__init__()
        channels, stride, first, count = _SIZES[size]
        # As TensorFlow pads "same": one more below and, where every column is kept, one more on the right.
        self.pad = nn.ZeroPad2d((1, 1 if stride[1] == 2 else 2, 4, 5))
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, (10, 4), stride, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            *(_separable(channels, stride=1 if index else first) for index in range(count)),
        )
        self.classifier = nn.Linear(channels, classes)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×classes of coefficients N×1×49×10."""
        logits: torch.Tensor = self.classifier(self.blocks(self.stem(self.pad(x))).mean((2, 3)))
        return logits


def _separable(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(channels, channels, 3, stride=stride, groups=channels, activation=nn.ReLU()),
        convolution(channels, channels, 1, activation=nn.ReLU()),
    )
