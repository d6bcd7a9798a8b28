"""Tiny networks, each with what one family of real ones makes hard for a converter."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from pocketfit.types import InputShape

__all__ = [
    "MODELS",
    "Grouped",
    "Mixed",
    "Perceptron",
    "PlainRelu",
    "SqueezeExcite",
    "ThreeInputs",
    "TinyModel",
    "TwoHeads",
    "build",
]


class TinyModel(nn.Module):
    """A network that says its input shape, without the batch, or that of each of several inputs."""

    input_shape: ClassVar[InputShape] = (3, 16, 16)


class Mixed(TinyModel):
    """Depthwise convolution, residual sum, concatenation, max-pooling, global mean and a linear layer.

    Its 90,000 weights outweigh the graph in a file, so that the sizes of two precisions can be compared.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 16, 3, stride=2)
        self.depthwise = _convolution(16, 16, 3, groups=16)
        self.project = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), _batch_norm(16))
        self.left = _convolution(16, 24, 1)
        self.right = _convolution(16, 40, 3)
        self.pool = nn.MaxPool2d(2)
        self.head = _convolution(64, 128, 3)
        self.classifier = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×10 of images N×3×16×16."""
        x = self.stem(x)
        x = x + self.project(self.depthwise(x))
        x = self.pool(torch.cat([self.left(x), self.right(x)], 1))
        logits: torch.Tensor = self.classifier(self.head(x).mean((2, 3)))
        return logits


class Grouped(TinyModel):
    """A convolution of four groups between two plain ones, as in ResNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(_convolution(3, 16, 3), _convolution(16, 32, 3, stride=2, groups=4))
        self.classifier = nn.Conv2d(32, 6, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×6 of images N×3×16×16."""
        logits: torch.Tensor = self.classifier(self.features(x)).flatten(1)
        return logits


class SqueezeExcite(TinyModel):
    """Hard-swish, and channels weighted by a gate with a hard sigmoid, as in MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), _batch_norm(16), nn.Hardswish())
        self.gate = nn.Sequential(nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Hardsigmoid())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Conv2d(16, 24, 1), nn.Hardswish())
        self.classifier = nn.Linear(24, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×6 of images N×3×16×16."""
        x = self.stem(x)
        x = x * self.gate(self.pool(x))
        logits: torch.Tensor = self.classifier(self.pool(self.head(x)).flatten(1))
        return logits


class PlainRelu(TinyModel):
    """A ReLU that fuses into its convolution, and one that stands alone because the sum has another reader."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3, padding=1)
        self.second = nn.Conv2d(12, 12, 3, padding=1)
        self.third = nn.Conv2d(12, 12, 3, padding=1)
        self.classifier = nn.Linear(12, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×6 of images N×3×16×16."""
        x = torch.relu(self.first(x))
        x = x + self.second(x)
        x = x + self.third(torch.relu(x))
        logits: torch.Tensor = self.classifier(x.mean((2, 3)))
        return logits


class TwoHeads(TinyModel):
    """Boxes as an image and scores as a vector, as a detector returns them; the larger output comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(_convolution(3, 16, 3, stride=2), _convolution(16, 24, 3))
        self.boxes = nn.Conv2d(24, 4, 1)
        self.scores = nn.Linear(24, 6)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Boxes N×4×8×8 and logits N×6 of images N×3×16×16."""
        x = self.backbone(x)
        return {"boxes": self.boxes(x), "scores": self.scores(x.mean((2, 3)))}


class ThreeInputs(TinyModel):
    """Two images that must not be mistaken for one another, and a vector."""

    input_shape = ((3, 16, 16), (3, 16, 16), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.before = _convolution(3, 12, 3, stride=2)
        self.after = _convolution(3, 12, 3, stride=2)
        self.joined = _convolution(24, 24, 3)
        self.state = nn.Linear(5, 24)
        self.classifier = nn.Linear(24, 6)

    def forward(self, before: torch.Tensor, after: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Logits N×6 of images N×3×16×16, of others of the same size, and of vectors N×5."""
        images = self.joined(torch.cat([self.before(before), self.after(after)], 1)).mean((2, 3))
        logits: torch.Tensor = self.classifier(torch.relu(images + self.state(state)))
        return logits


class Perceptron(TinyModel):
    """Linear layers alone."""

    input_shape = (32,)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×6 of vectors N×32."""
        logits: torch.Tensor = self.layers(x)
        return logits


MODELS: tuple[type[TinyModel], ...] = (
    Mixed,
    Grouped,
    SqueezeExcite,
    PlainRelu,
    TwoHeads,
    ThreeInputs,
    Perceptron,
)


def build(kind: type[TinyModel], seed: int = 0) -> TinyModel:
    """The network with random weights, the same for the same seed, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind()
    return model.eval().requires_grad_(False)


def _convolution(channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        _batch_norm(out_channels),
        nn.ReLU6(),
    )


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    """With statistics as training would leave them: folding one that does nothing would prove nothing."""
    norm = nn.BatchNorm2d(channels)
    assert norm.running_mean is not None and norm.running_var is not None  # unless it is told to track none
    nn.init.uniform_(norm.running_mean, -0.1, 0.1)
    nn.init.uniform_(norm.running_var, 0.2, 0.6)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, -0.2, 0.2)
    return norm
