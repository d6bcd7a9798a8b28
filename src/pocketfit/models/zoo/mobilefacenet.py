"""MobileFaceNet: an embedding of an aligned face in under a million parameters."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.models.zoo.blocks import convolution, initialise

__all__ = ["MobileFaceNet"]

# Expansion, channels, repetitions, stride of the first of them.
_BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
_STEM, _LAST = 64, 512


class Bottleneck(nn.Module):
    """MobileNetV2's inverted residual with PReLU in place of ReLU6."""

    def __init__(self, channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels
        self.layers = nn.Sequential(
            convolution(channels, wide, 1, activation=nn.PReLU(wide)),
            convolution(wide, wide, 3, stride=stride, groups=wide, activation=nn.PReLU(wide)),
            convolution(wide, out_channels, 1),
        )
        self.residual = stride == 1 and channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the same size, or of half of it."""
        y: torch.Tensor = self.layers(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """A global depthwise convolution ends it: unlike a mean, it knows that the centre of a face tells most.

    Args:
        embedding: length of the embedding; it is not normalised, cosines are taken of it.

    Source: Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices",
        2018, table 1. Inputs are aligned faces, (pixel - 127.5) / 128.
    """

    input_shape = (3, 112, 112)

    def __init__(self, embedding: int = 128) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            convolution(3, _STEM, 3, stride=2, activation=nn.PReLU(_STEM)),
            convolution(_STEM, _STEM, 3, groups=_STEM, activation=nn.PReLU(_STEM)),
        )
        blocks, channels = [], _STEM
        for expansion, out_channels, count, stride in _BOTTLENECKS:
            for index in range(count):
                blocks.append(Bottleneck(channels, out_channels, 1 if index else stride, expansion))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.last = convolution(channels, _LAST, 1, activation=nn.PReLU(_LAST))
        self.whole = nn.Sequential(nn.Conv2d(_LAST, _LAST, 7, groups=_LAST, bias=False), nn.BatchNorm2d(_LAST))
        self.embed = convolution(_LAST, embedding, 1)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings N×embedding of faces N×3×112×112."""
        features: torch.Tensor = self.embed(self.whole(self.last(self.blocks(self.stem(x)))))
        return features.flatten(1)
