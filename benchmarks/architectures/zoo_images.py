"""Networks that answer a picture with a vector or with boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["NETS"]

CLASSES = 20


class Classifier(nn.Module):
    """Features, their mean over the picture, and a linear layer; the features are what differs."""

    def __init__(self, *layers: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of images N×3×H×W."""
        logits: Tensor = self.head(self.features(x).mean((2, 3)))
        return logits


class GroupConvolution(Classifier):
    """Convolutions of several groups, channels shuffled between them."""

    def __init__(self) -> None:
        layers = (*_conv(3, 24, stride=2), *_conv(24, 48, groups=4), nn.ChannelShuffle(4), *_conv(48, 48, groups=8))
        super().__init__(*layers, channels=48)


class DepthwiseMultiplier(Classifier):
    """Depthwise convolutions that give each channel two or three others."""

    def __init__(self) -> None:
        layers = (*_conv(3, 9, groups=3), *_conv(9, 16, kernel=1, stride=2), *_conv(16, 32, groups=16), *_conv(32, 40))
        super().__init__(*layers, channels=40)


class Silu(Classifier):
    """Inverted residuals with SiLU and a squeeze-excite gate."""

    def __init__(self) -> None:
        super().__init__(*_conv(3, 16, stride=2, act=nn.SiLU()), _Inverted(nn.SiLU(), nn.Sigmoid()), channels=16)


class HardSwish(Classifier):
    """Inverted residuals with hard-swish and a squeeze-excite gate with a hard sigmoid."""

    def __init__(self) -> None:
        layers = (*_conv(3, 16, stride=2, act=nn.Hardswish()), _Inverted(nn.Hardswish(), nn.Hardsigmoid()))
        super().__init__(*layers, channels=16)


class Gelu(Classifier):
    """Convolutions with GELU, exact and with tanh."""

    def __init__(self) -> None:
        layers = (*_conv(3, 24, stride=2, act=nn.GELU()), *_conv(24, 32, act=nn.GELU(approximate="tanh")))
        super().__init__(*layers, channels=32)


class Mish(Classifier):
    """Mish, as in YOLOv4, and softplus."""

    def __init__(self) -> None:
        super().__init__(*_conv(3, 24, stride=2, act=nn.Mish()), *_conv(24, 32, act=nn.Softplus()), channels=32)


class LeakyElu(Classifier):
    """Leaky ReLU, ELU and ReLU6."""

    def __init__(self) -> None:
        layers = (*_conv(3, 16, stride=2, act=nn.LeakyReLU(0.1)), *_conv(16, 32, act=nn.ELU()))
        super().__init__(*layers, *_conv(32, 32, act=nn.ReLU6()), channels=32)


class GroupNorm(Classifier):
    """Group norm in place of batch norm."""

    def __init__(self) -> None:
        layers = (nn.Conv2d(3, 24, 3, 2, 1), nn.GroupNorm(4, 24), nn.ReLU(), nn.Conv2d(24, 32, 3, 1, 1))
        super().__init__(*layers, nn.GroupNorm(1, 32), nn.ReLU(), channels=32)


class InstanceNorm(Classifier):
    """Instance norm, with weights and without."""

    def __init__(self) -> None:
        layers = (nn.Conv2d(3, 24, 3, 2, 1), nn.InstanceNorm2d(24, affine=True), nn.ReLU(), nn.Conv2d(24, 32, 3, 2, 1))
        super().__init__(*layers, nn.Hardtanh(-1, 2), nn.InstanceNorm2d(32), nn.Conv2d(32, 32, 2), channels=32)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20; the largest values, since the mean of what was normalised says nothing."""
        logits: Tensor = self.head(self.features(x).amax((2, 3)))
        return logits


class LayerNorm(nn.Module):
    """A patch stem and perceptrons over channels, with layer norm over the last axis, as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 40, 4, 4)
        self.mix = nn.Conv2d(40, 40, 7, padding=3, groups=40)
        self.norm = nn.LayerNorm(40)
        self.mlp = nn.Sequential(nn.Linear(40, 80), nn.GELU(), nn.Linear(80, 40))
        self.head = nn.Linear(40, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of images N×3×48×48."""
        x = self.patches(x)
        x = x + self.mlp(self.norm(self.mix(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class PreluFace(nn.Module):
    """An embedding of faces: PReLU, a depthwise convolution over the whole map, a vector of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(3, 32, stride=2, act=nn.PReLU(32)),
            *_conv(32, 32, stride=2, groups=32, act=nn.PReLU(32)),
            *_conv(32, 64, kernel=1, act=nn.PReLU()),
            nn.Conv2d(64, 64, 12, groups=64, bias=False),
            nn.BatchNorm2d(64),
        )
        self.head = nn.Linear(64, 48, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings N×48 of length 1, of images N×3×48×48."""
        return nn.functional.normalize(self.head(self.features(x).flatten(1)), dim=1)


class TinyDetector(nn.Module):
    """Two scales with anchors, boxes and scores of both in one output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 16, stride=2), *_conv(16, 32, stride=2), *_conv(32, 32, stride=2))
        self.deep = nn.Sequential(*_conv(32, 48, stride=2))
        self.boxes = nn.ModuleList(nn.Conv2d(channels, 2 * 4, 3, padding=1) for channels in (32, 48))
        self.scores = nn.ModuleList(nn.Conv2d(channels, 2 * 3, 3, padding=1) for channels in (32, 48))

    def forward(self, x: Tensor) -> Tensor:
        """N×90×7: boxes and scores of each anchor, of images N×3×48×48."""
        near = self.stem(x)
        maps = (near, self.deep(near))
        boxes = torch.cat([_rows(layer(one), 4) for layer, one in zip(self.boxes, maps, strict=True)], 1)
        scores = torch.cat([_rows(layer(one), 3) for layer, one in zip(self.scores, maps, strict=True)], 1)
        return torch.cat([boxes, scores.sigmoid()], 2)


class YoloHead(nn.Module):
    """Spatial pyramid pooling and an anchor-free head whose distances come from a softmax over bins."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 16, stride=2, act=nn.SiLU()), *_conv(16, 32, stride=2, act=nn.SiLU()))
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = nn.Sequential(*_conv(96, 32, kernel=1, act=nn.SiLU()))
        self.distances = nn.Conv2d(32, 4 * 8, 1)
        self.scores = nn.Conv2d(32, 3, 1)
        self.register_buffer("bins", torch.arange(8.0))

    def forward(self, x: Tensor) -> Tensor:
        """N×144×7 of images N×3×48×48."""
        x = self.stem(x)
        once = self.pool(x)
        x = self.merge(torch.cat([x, once, self.pool(once)], 1))
        shares = self.distances(x).flatten(2).transpose(1, 2).reshape(-1, 144, 4, 8).softmax(3)
        distances = (shares * self.bins).sum(3)
        scores = self.scores(x).flatten(2).transpose(1, 2)
        return torch.cat([distances, scores.sigmoid()], 2)


class AttentionGates(Classifier):
    """Gates over channels and over places, from means and maxima, as in CBAM."""

    def __init__(self) -> None:
        super().__init__(*_conv(3, 24, stride=2), _Gates(24), *_conv(24, 32), channels=32)


class ConvolutionRecurrent(nn.Module):
    """Convolutions and a GRU over the columns, as readers of text lines have them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(3, 16, stride=2), nn.MaxPool2d((4, 2)), *_conv(16, 24), nn.MaxPool2d((6, 1))
        )
        self.cells = nn.GRU(24, 24, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×12×20, one row for each column, of images N×3×48×48."""
        columns = self.features(x).squeeze(2).transpose(1, 2)
        logits: Tensor = self.head(self.cells(columns)[0])
        return logits


class _Inverted(nn.Module):
    """An inverted residual of 16 channels with a gate."""

    def __init__(self, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.widen = nn.Sequential(*_conv(16, 48, kernel=1, act=act), *_conv(48, 48, kernel=5, groups=48, act=act))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(48, 12, 1), act, nn.Conv2d(12, 48, 1), gate)
        self.narrow = nn.Sequential(nn.Conv2d(48, 16, 1, bias=False), nn.BatchNorm2d(16))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        wide = self.widen(x)
        y: Tensor = x + self.narrow(wide * self.gate(wide))
        return y


class _Gates(nn.Module):
    """Channels weighed, then places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.Conv2d(8, channels, 1))
        self.places = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        x = x * (self.channels(x.mean((2, 3), keepdim=True)) + self.channels(x.amax((2, 3), keepdim=True))).sigmoid()
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        y: Tensor = x * self.places(summary).sigmoid()
        return y


def _conv(
    channels: int, out: int, *, kernel: int = 3, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> tuple[nn.Module, ...]:
    options: dict[str, Any] = {"stride": stride, "padding": kernel // 2, "groups": groups, "bias": False}
    return nn.Conv2d(channels, out, kernel, **options), nn.BatchNorm2d(out), act or nn.ReLU()


def _rows(x: Tensor, width: int) -> Tensor:
    """One row per place and anchor."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)


NETS = (
    GroupConvolution,
    DepthwiseMultiplier,
    Silu,
    HardSwish,
    Gelu,
    Mish,
    LeakyElu,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    PreluFace,
    AttentionGates,
    ConvolutionRecurrent,
    TinyDetector,
    YoloHead,
)
