"""A graph copied, and run batch after batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

__all__ = ["joined", "plain_copy", "run_graph"]


def plain_copy(graph: GraphModule) -> GraphModule:
    """A copy without the input checks that `torch.export` hangs on its modules."""
    return GraphModule(copy.deepcopy(graph), copy.deepcopy(graph.graph))


def run_graph(
    graph: GraphModule, batches: Iterable[np.ndarray], progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """The outputs of every sample, float32, samples first: several ones as `joined` puts them.

    Args:
        graph: takes a batch.
        batches: float32 arrays, batch first.
        progress: called with the number of samples of each finished batch.
    """
    outputs = []
    with torch.no_grad():
        for batch in batches:
            outputs.append(joined(graph(torch.from_numpy(batch))).float().numpy())
            if progress is not None:
                progress(len(batch))
    return np.concatenate(outputs)


def joined(result: object) -> torch.Tensor:
    """What a graph returned as one tensor: a single output as it is, several flattened and one behind the other, N×…"""
    tensors = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    return tensors[0] if len(tensors) == 1 else torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
