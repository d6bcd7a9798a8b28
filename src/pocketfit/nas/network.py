"""One network of the space as a module of its own, of plain layers."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.models.zoo.blocks import convolution
from pocketfit.nas.architecture import Architecture, Block, Space

__all__ = ["ElasticNet", "InvertedResidual"]


class InvertedResidual(nn.Module):
    """Widen, convolve each channel on its own, narrow; added to the input where the shapes allow.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, figure 3.
    """

    def __init__(self, channels: int, out_channels: int, block: Block, stride: int) -> None:
        super().__init__()
        wide = channels * block.expansion
        self.expand = convolution(channels, wide, 1, activation=nn.ReLU6())
        self.depthwise = convolution(wide, wide, block.kernel, stride=stride, groups=wide, activation=nn.ReLU6())
        self.project = convolution(wide, out_channels, 1)
        self.stride = stride
        self.residual = stride == 1 and channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the same size, or of half of it."""
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class ElasticNet(nn.Module):
    """A network of a space, for N×C×H×W images; gives logits N×classes."""

    def __init__(self, space: Space, architecture: Architecture) -> None:
        super().__init__()
        self.input_shape = space.input_shape
        self.stem = convolution(
            space.input_shape[0], space.widths[0], 3, stride=space.strides[0], activation=nn.ReLU6()
        )
        self.stages = nn.ModuleList()
        for before, after, stride, blocks in zip(
            space.widths, space.widths[1:], space.strides[1:], architecture.stages, strict=False
        ):
            first = InvertedResidual(before, after, blocks[0], stride)
            self.stages.append(nn.ModuleList([first, *(InvertedResidual(after, after, b, 1) for b in blocks[1:])]))
        self.classifier = nn.Linear(space.widths[-1], space.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        x = self.stem(x)
        for stage in self.stages:
            for block in stage:  # type: ignore[attr-defined]
                x = block(x)
        logits: torch.Tensor = self.classifier(x.mean((2, 3)))
        return logits
