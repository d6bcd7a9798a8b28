"""What is expensive and shared by the tests of the whole job: a small network, and one real run of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

NET = """
import torch
from torch import nn


class Net(nn.Module):
    input_shape = (1, 8, 8)

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.hidden = nn.Linear(8 * 16, 160)
        self.head = nn.Linear(160, 10)

    def forward(self, x):
        return self.head(self.embed(x))

    def embed(self, x):
        return torch.relu(self.hidden(self.features(x).flatten(1)))


def build():
    return Net()
"""


@dataclass(frozen=True)
class Net:
    """A network on disk.

    Args:
        model: what `pocketfit fit` takes as MODEL.
        weights: a state dict that answers most digits right.
    """

    model: str
    weights: Path


@dataclass(frozen=True)
class Fitted:
    """A finished run of the network on the digits with ONNX Runtime, in its own cache.

    Args:
        net: the network.
        cache: the stages of the run, which other runs may take up.
        bundle: what it wrote.
    """

    net: Net
    cache: Path
    bundle: Path


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random weights and images in every run, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _no_terminal() -> Iterator[None]:
    """Tables are as wide as in a pipe, also where pytest's workers pass the width of a terminal on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> Net:
    """Random features and a ridge classifier: trained in a moment, the same every time."""
    import importlib.util

    import torch
    from torch import nn

    from pocketfit.data.digits import read_digits

    folder = tmp_path_factory.mktemp("net")
    path = folder / "digits_net.py"
    path.write_text(NET)
    spec = importlib.util.spec_from_file_location("digits_net", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    digits = read_digits()
    positions = list(digits.training)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = module.build()
        features = network.embed(torch.from_numpy(digits.inputs[positions]))
        features = torch.cat([features, torch.ones(len(features), 1)], 1).double()
        wanted = nn.functional.one_hot(torch.from_numpy(digits.labels[positions]), 10).double()
        # The ridge keeps weights small, which keeps what INT8 costs small.
        solved = torch.linalg.solve(features.T @ features + 0.1 * torch.eye(features.shape[1]), features.T @ wanted)
        network.head.weight.copy_(solved[:-1].T)
        network.head.bias.copy_(solved[-1])
    torch.save(network.state_dict(), folder / "weights.pth")
    return Net(f"{path}:build", folder / "weights.pth")


@pytest.fixture(scope="session")
def fitted(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """One real run; some twenty seconds, once."""
    from pocketfit.pipeline import FitRequest, fit

    folder = tmp_path_factory.mktemp("fitted")
    request = FitRequest(
        model=net.model,
        weights=net.weights,
        data="digits",
        targets=("onnxruntime",),
        cache=folder / "cache",
        out=folder / "bundle",
    )
    fit(request)
    return Fitted(net, folder / "cache", folder / "bundle")


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real one on this host, each node a process of its own; its head has no CPUs, so that all work may be lost."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
