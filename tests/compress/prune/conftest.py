"""Small networks that hold what channels go through in real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel


class Residual(nn.Module):
    """Shortcuts, one of them padded with channels of zeros, and batch-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.first = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        self.second = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
        self.head = nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.first(x))
        x = torch.relu(functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8)) + self.second(x))
        return self.head(x.mean((2, 3)))


class Shuffle(nn.Module):
    """Halves, one of them through a depthwise branch, concatenated and shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.branch = nn.Sequential(
            nn.Conv2d(8, 12, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.Conv2d(12, 8, 1)
        )
        self.head = nn.Linear(16 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = torch.relu(self.stem(x)).chunk(2, 1)
        x = torch.cat([one, self.branch(other)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(functional.max_pool2d(x, 2).flatten(1))


class SqueezeExcite(nn.Module):
    """A gate for each channel, a gate for each pixel, and a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.squeeze = nn.Sequential(nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Hardsigmoid())
        self.pixel = nn.Conv2d(16, 1, 1)
        self.grouped = nn.Conv2d(16, 24, 3, groups=2)
        self.head = nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.stem(x))
        x = x * self.squeeze(x.mean((2, 3), keepdim=True))
        x = x * torch.sigmoid(self.pixel(x))
        return self.head(torch.relu(self.grouped(x)).mean((2, 3)))


class Attention(nn.Module):
    """Heads, layer norm around them, and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, 4)
        self.norm = nn.LayerNorm(16)
        self.packed = nn.Linear(16, 3 * 32)
        self.out = nn.Linear(32, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        n, t, _ = x.shape
        q, k, v = self.packed(self.norm(x)).reshape(n, t, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = (q @ k.transpose(-2, -1) * 8**-0.5).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, 32))
        return self.head((x + self.mlp(x)).mean(1))


class Recurrent(nn.Module):
    """A recurrent layer over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(24, 12, batch_first=True)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x.flatten(2).transpose(1, 2).reshape(-1, 8, 24))[0][:, -1])


class Decoder(nn.Module):
    """Transposed convolutions, a concatenation across a resize, a pixel shuffle, instance norm and PReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.InstanceNorm2d(12, affine=True), nn.PReLU(12))
        self.deep = nn.Conv2d(12, 16, 3, 2, 1)
        self.up = nn.ConvTranspose2d(16, 10, 2, 2)
        self.fuse = nn.Conv2d(22, 16, 3, padding=1)
        self.fine = nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(4, 3, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shallow = self.down(x)
        deep = self.up(torch.relu(self.deep(shallow)))
        return self.fine(torch.relu(self.fuse(torch.cat([shallow, deep], 1))))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "residual": Residual,
    "shuffle": Shuffle,
    "squeeze_excite": SqueezeExcite,
    "attention": Attention,
    "recurrent": Recurrent,
    "decoder": Decoder,
}


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers this small only lose by threads, and sums come out the same on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def models() -> Callable[[str], LoadedModel]:
    """A model of `NETWORKS` by name, made once; batch-norm has statistics as after training."""
    made: dict[str, LoadedModel] = {}

    def model(name: str) -> LoadedModel:
        if name not in made:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                module = NETWORKS[name]()
                module.train()(torch.randn(16, 3, 8, 8))
                made[name] = canonicalise(module.eval(), (3, 8, 8), name=name)
        return made[name]

    return model


@pytest.fixture(scope="package")
def network_names() -> list[str]:
    return list(NETWORKS)
