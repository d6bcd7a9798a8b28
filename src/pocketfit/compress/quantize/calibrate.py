"""One pass over the calibration samples gathers the statistics of every float tensor of the graph."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from pocketfit.compress.quantize.statistics import TensorStatistics, merge, observe
from pocketfit.graph.running import arguments

__all__ = ["calibrate", "load_statistics", "save_statistics"]

Progress = Callable[[int], None]


class _Observer(torch.fx.Interpreter):
    """Runs the graph and keeps the statistics of each named float tensor."""

    def __init__(self, graph: torch.fx.GraphModule, names: frozenset[str]) -> None:
        super().__init__(graph)
        self.names = names
        self.seen: dict[str, TensorStatistics] = {}

    def run_node(self, n: torch.fx.Node) -> object:
        value = super().run_node(n)
        if n.name in self.names and isinstance(value, torch.Tensor) and value.is_floating_point():
            batch = observe(n.name, value)
            known = self.seen.get(n.name)
            self.seen[n.name] = batch if known is None else merge((known, batch))
        return value


def calibrate(
    graph: torch.fx.GraphModule,
    batches: Iterable[np.ndarray],
    names: Iterable[str],
    progress: Progress | None = None,
) -> dict[str, TensorStatistics]:
    """Gather statistics of the named tensors.

    Args:
        graph: the canonical float graph.
        batches: float32 arrays in the model's layout, batch first.
        names: node names to observe.
        progress: called with the number of samples of each finished batch.

    Raises:
        DataError: a tensor holds NaN or infinity.
    """
    observer = _Observer(graph, frozenset(names))
    with torch.no_grad():
        for batch in batches:
            observer.run(*arguments(graph, torch.from_numpy(batch)))
            if progress is not None:
                progress(len(batch))
    return observer.seen


def save_statistics(statistics: Mapping[str, TensorStatistics], path: Path) -> None:
    """Write the statistics as one `.npz` that holds no pickles."""
    arrays: dict[str, np.ndarray] = {}
    scalars: dict[str, list[float]] = {}
    for name, item in statistics.items():
        scalars[name] = [item.minimum, item.maximum, item.count, item.width, item.first, item.channel_count]
        arrays[f"histogram/{name}"] = item.histogram
        arrays[f"channel_sum/{name}"] = item.channel_sum
    with path.open("wb") as file:
        np.savez_compressed(file, scalars=np.frombuffer(json.dumps(scalars).encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def load_statistics(path: Path) -> dict[str, TensorStatistics]:
    """Read what `save_statistics` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        scalars = json.loads(stored["scalars"].tobytes())
        return {
            name: TensorStatistics(
                minimum=minimum,
                maximum=maximum,
                count=int(count),
                width=width,
                first=int(first),
                histogram=stored[f"histogram/{name}"],
                channel_sum=stored[f"channel_sum/{name}"],
                channel_count=int(channel_count),
            )
            for name, (minimum, maximum, count, width, first, channel_count) in scalars.items()
        }
