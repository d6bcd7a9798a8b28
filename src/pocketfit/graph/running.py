"""A graph copied, and run batch after batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch.fx import GraphModule

__all__ = ["first_output", "plain_copy", "run_graph"]


def plain_copy(graph: GraphModule) -> GraphModule:
    """A copy without the input checks that `torch.export` hangs on its modules."""
    return GraphModule(copy.deepcopy(graph), copy.deepcopy(graph.graph))


def run_graph(
    graph: GraphModule, batches: Iterable[np.ndarray], progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """The first output of every sample, float32, samples first.

    Args:
        graph: takes a batch.
        batches: float32 arrays, batch first.
        progress: called with the number of samples of each finished batch.
    """
    outputs = []
    with torch.no_grad():
        for batch in batches:
            outputs.append(first_output(graph(torch.from_numpy(batch))).float().numpy())
            if progress is not None:
                progress(len(batch))
    return np.concatenate(outputs)


def first_output(result: object) -> torch.Tensor:
    """The first tensor of what a graph returned, however it is nested."""
    while isinstance(result, list | tuple):
        result = result[0]
    assert isinstance(result, torch.Tensor)
    return result
