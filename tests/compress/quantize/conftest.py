"""A small network that holds what real ones do, its samples and its plan, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.models.canonical import canonicalise
from pocketfit.models.export import canonical_graph
from pocketfit.types import LoadedModel, QuantizationPlan


class Network(nn.Module):
    """Strided, depthwise and pointwise convolutions, batch-norm, ReLU6, a residual sum, pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Hardswish())
        self.project = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.project(self.depthwise(x)))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers this small only lose by threads, and sums come out the same on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> nn.Module:
    """A module with fixed weights and with batch-norm statistics as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build()
        module.train()(torch.randn(16, *shape))
    return module.eval()


@pytest.fixture(scope="session")
def graph_of() -> Callable[[nn.Module, tuple[int, ...]], GraphModule]:
    """The canonical graph of a module for batch 1; much faster than loading the whole model."""

    def build(module: nn.Module, shape: tuple[int, ...]) -> GraphModule:
        return canonical_graph(module.eval(), (torch.zeros(1, *shape),), dynamic_batch=False)

    return build


@pytest.fixture(scope="session")
def load() -> Callable[[Callable[[], nn.Module], tuple[int, ...]], LoadedModel]:
    def load(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> LoadedModel:
        return canonicalise(seeded(build, shape), shape, name="small")

    return load


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    return canonicalise(seeded(Network, (3, 12, 12)), (3, 12, 12), name="network")


@pytest.fixture(scope="session")
def samples() -> list[np.ndarray]:
    """Eight batches of four images."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, 3, 12, 12)).astype(np.float32) for _ in range(8)]


@pytest.fixture(scope="session")
def statistics(model: LoadedModel, samples: list[np.ndarray]) -> dict[str, TensorStatistics]:
    return calibrate(model.graph, samples, place(model.graph).tensors)


@pytest.fixture(scope="session")
def plan(model: LoadedModel, statistics: dict[str, TensorStatistics]) -> QuantizationPlan:
    return int8_plan(model, statistics, data_fingerprint="d" * 64, samples=32)
