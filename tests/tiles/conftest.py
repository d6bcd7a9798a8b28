"""Networks from images to images, each with what makes its receptive field hard to tell."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketfit.compress.quantize.plan import float_plan
from pocketfit.models.canonical import canonicalise
from pocketfit.runtimes import get_runtime
from pocketfit.types import LoadedModel, Precision, Session, Variant


class UNet(nn.Module):
    """Down by four and up again in three ways, with skips, dilation and grouped channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.down = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish(), nn.MaxPool2d(2))
        self.middle = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.head = nn.Conv2d(16, 5, (1, 3), padding=(0, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stem = self.stem(x)
        deep = functional.interpolate(self.up(self.middle(self.down(stem))), scale_factor=2, mode="bilinear")
        return torch.softmax(self.head(torch.cat([deep, stem], 1)), 1)


class SuperResolution(nn.Module):
    """Twice the size by pixel shuffle, beside a bicubic resize; padding by reflection."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(8, 8, 5, padding=2, groups=2)
        self.last = nn.Conv2d(8, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.second(torch.relu(self.first(x)))
        features = features.view(x.shape[0], 2, 4, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        large = functional.pixel_shuffle(self.last(features), 2)
        return large + functional.interpolate(x, scale_factor=2, mode="bicubic")


class Quarter(nn.Module):
    """A map of a quarter of the size: unshuffled pixels, a strided slice, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(12, 6, 3, padding=1)
        self.last = nn.Conv2d(6, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(functional.pixel_unshuffle(x, 2))
        x = functional.avg_pool2d(x, 3, 1, 1) + functional.interpolate(x[:, :, ::2, 1::2], scale_factor=2)
        return self.last(torch.relu(x)[:, :, ::2, ::2])


class Gated(nn.Module):
    """Weighs channels by the mean of the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return x * self.gate(x)


NETWORKS = {kind.__name__: kind for kind in (UNet, SuperResolution, Quarter, Gated)}


@cache
def model_of(name: str, height: int, width: int) -> LoadedModel:
    """In canonical form, with the same random weights for every size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = NETWORKS[name]()
    return canonicalise(network, (3, height, width), name=name)


@pytest.fixture(scope="session")
def model() -> Callable[[str, int, int], LoadedModel]:
    """The network of that name for images of that height and width."""
    return model_of


@pytest.fixture(scope="session")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, int], Callable[[], Session]]:
    """What opens ONNX Runtime sessions of such a network, which is converted once."""

    @cache
    def convert(name: str, height: int, width: int) -> Callable[[], Session]:
        runtime, model = get_runtime("onnxruntime"), model_of(name, height, width)
        variant = Variant(model, float_plan(model, Precision.FLOAT32))
        artifact = runtime.convert(variant, tmp_path_factory.mktemp(name))
        return lambda: runtime.open(artifact)

    return convert


@pytest.fixture(scope="session")
def image() -> Callable[[int, int], np.ndarray]:
    """Noise of that height and width: any neighbourhood that is not the same shows."""

    def noise(height: int, width: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(1, 3, height, width)).astype(np.float32)

    return noise
