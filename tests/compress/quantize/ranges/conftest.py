"""Tensors of the shapes that networks have, and the errors of a scale written once more from the formula."""

from __future__ import annotations

import pytest
import torch

from pocketfit.compress.quantize.statistics import TensorStatistics, observe


def _normal(seed: int) -> torch.Tensor:
    return torch.randn(20_000, generator=torch.Generator().manual_seed(seed))


_TENSORS = {
    "normal": _normal(0),
    "long tail": _normal(1) ** 3,
    "after a ReLU": _normal(2).relu(),
    "all negative": -_normal(3).abs() - 1,
    "constant": torch.full((100,), 0.3),
    "zero": torch.zeros(100),
    "tiny": torch.full((100,), 1e-40),
    "huge": torch.full((100,), -3e38),
    "one value": torch.tensor([2.0]),
}


@pytest.fixture(params=_TENSORS.values(), ids=_TENSORS.keys())
def values(request: pytest.FixtureRequest) -> torch.Tensor:
    tensor: torch.Tensor = request.param
    return tensor


@pytest.fixture
def statistics(values: torch.Tensor) -> TensorStatistics:
    return observe("x", values)
