from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.calibrate import calibrate, load_statistics, save_statistics
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.errors import DataError
from pocketfit.types import LoadedModel


class Halve(nn.Module):
    """Exact in float32 for small whole numbers, so that the batch size cannot change a rounding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x * 0.5)


class Logarithm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.log(x)).sigmoid()


Graphs = Callable[[nn.Module, tuple[int, ...]], GraphModule]


def test_every_named_tensor_is_observed(
    model: LoadedModel, samples: list[np.ndarray], statistics: dict[str, TensorStatistics]
) -> None:
    assert set(statistics) == set(place(model.graph).tensors)
    images = np.concatenate(samples)
    seen = statistics[model.input.name]
    assert (seen.minimum, seen.maximum, seen.count) == (images.min(), images.max(), images.size)


def test_the_batch_size_does_not_matter(graph_of: Graphs) -> None:
    graph = graph_of(Halve(), (3, 4))
    values = np.random.default_rng(0).integers(-99, 99, (12, 3, 4)).astype(np.float32)
    names = place(graph).tensors
    one_by_one = calibrate(graph, np.split(values, 12), names)
    together = calibrate(graph, [values], names)
    assert set(one_by_one) == set(names)
    for name in names:
        np.testing.assert_array_equal(one_by_one[name].histogram, together[name].histogram)


def test_progress_counts_samples(model: LoadedModel, samples: list[np.ndarray]) -> None:
    done: list[int] = []
    calibrate(model.graph, samples[:2], place(model.graph).tensors, done.append)
    assert done == [4, 4]


def test_the_tensor_that_is_not_finite_is_named(graph_of: Graphs) -> None:
    graph = graph_of(Logarithm(), (4,))
    with pytest.raises(DataError, match=r"'log'.*check the weights, the input scaling and the calibration samples"):
        calibrate(graph, [np.zeros((1, 4), np.float32)], ["log", "relu", "sigmoid"])


def test_statistics_read_back_exactly(statistics: dict[str, TensorStatistics], tmp_path: Path) -> None:
    save_statistics(statistics, tmp_path / "statistics.npz")
    restored = load_statistics(tmp_path / "statistics.npz")
    assert list(restored) == list(statistics)
    for name, item in statistics.items():
        for field, value in vars(item).items():
            np.testing.assert_array_equal(getattr(restored[name], field), value)


def test_what_is_stored_holds_no_pickles(statistics: dict[str, TensorStatistics], tmp_path: Path) -> None:
    save_statistics(statistics, tmp_path / "statistics.npz")
    with np.load(tmp_path / "statistics.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
