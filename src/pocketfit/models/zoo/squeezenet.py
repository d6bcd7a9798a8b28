"""SqueezeNet: AlexNet's accuracy of its day in fifty times fewer parameters."""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.models.zoo.blocks import initialise

__all__ = ["SqueezeNet"]


class Fire(nn.Module):
    """Few channels in, many out: a 1×1 convolution squeezes, a 1×1 and a 3×3 beside each other expand."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.pointwise = nn.Conv2d(squeezed, expanded, 1)
        self.spatial = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features N×2·expanded×H×W of N×channels×H×W."""
        x = self.squeeze(x).relu()
        return torch.cat([self.pointwise(x).relu(), self.spatial(x).relu()], 1)


class SqueezeNet(nn.Module):
    """Version 1.0, or 1.1, which needs 2.4 times fewer MACs for the same accuracy.

    Args:
        version: "1.0" or "1.1".
        classes: number of classes.

    Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016,
        table 1; version 1.1 after the authors' own repository.
    """

    input_shape = (3, 224, 224)

    def __init__(self, version: str = "1.1", classes: int = 1000) -> None:
        super().__init__()
        first = [nn.Conv2d(3, 96, 7, 2), nn.ReLU()] if version == "1.0" else [nn.Conv2d(3, 64, 3, 2), nn.ReLU()]
        # A pooling stands before the first, and before these Fire modules.
        pooled = (3, 7) if version == "1.0" else (2, 4)
        layers: list[nn.Module] = [*first, _pool()]
        channels = 96 if version == "1.0" else 64
        for index, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
            layers += [_pool()] if index in pooled else []
            layers.append(Fire(channels, squeezed, 4 * squeezed))
            channels = 8 * squeezed
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(channels, classes, 1)
        initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×classes of images N×3×H×W."""
        maps: torch.Tensor = self.classifier(self.dropout(self.features(x))).relu()
        return maps.mean((2, 3))


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)
