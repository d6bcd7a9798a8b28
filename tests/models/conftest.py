"""Tiny seeded modules that hold what real ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from pocketfit.models import canonicalise
from pocketfit.types import LoadedModel


class Block(nn.Module):
    """Convolution, batch-norm, in-place activation, residual sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.act = nn.Hardswish(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.act(self.norm(self.conv(x)))


class Tiny(nn.Module):
    """A 3×8×8 classifier of four classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(72, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.stem(x))
        return self.head(self.drop(x.view(x.size(0), -1)))


def tiny(seed: int = 0) -> Tiny:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Tiny()
        # As after training: statistics that are not 0 and 1.
        module.train()(torch.randn(16, 3, 8, 8))
    return module.eval()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors this small take longer on two threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    """The tiny classifier in canonical form; not to be changed."""
    return canonicalise(tiny(), (3, 8, 8), name="tiny", source="here")


@pytest.fixture(name="tiny", scope="session")
def _tiny() -> Callable[..., nn.Module]:
    return tiny
