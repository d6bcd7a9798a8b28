"""A graph copied, and run batch after batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

__all__ = ["arguments", "joined", "plain_copy", "run_graph", "separated"]


def plain_copy(graph: GraphModule) -> GraphModule:
    """A copy without the input checks that `torch.export` hangs on its modules."""
    return GraphModule(copy.deepcopy(graph), copy.deepcopy(graph.graph))


def run_graph(
    graph: GraphModule, batches: Iterable[np.ndarray], progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """The outputs of every sample, float32, samples first: several ones as `joined` puts them.

    Args:
        graph: takes a batch.
        batches: float32 arrays, batch first; rows where the graph has several inputs.
        progress: called with the number of samples of each finished batch.
    """
    outputs = []
    with torch.no_grad():
        for batch in batches:
            outputs.append(joined(graph(*arguments(graph, torch.from_numpy(batch)))).float().numpy())
            if progress is not None:
                progress(len(batch))
    return np.concatenate(outputs)


def joined(result: object) -> torch.Tensor:
    """Tensors, however nested, as one: a single one as it is, several flattened and one behind the other, N×…"""
    tensors = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    return tensors[0] if len(tensors) == 1 else torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)


def arguments(graph: GraphModule, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A batch as a graph's inputs.

    Args:
        graph: from `torch.export`.
        batch: as `separated` takes it.
    """
    nodes = graph.graph.find_nodes(op="placeholder")
    return (batch,) if len(nodes) == 1 else separated(batch, [node.meta["val"].shape[1:] for node in nodes])


def separated(batch: torch.Tensor, shapes: Sequence[Sequence[int]]) -> tuple[torch.Tensor, ...]:
    """A batch as inputs: itself for a single one; rows, as `joined` makes them, apart for several.

    Args:
        batch: N×(shape of the only input), or N×(numbers of all inputs together).
        shapes: of the inputs, without the batch.
    """
    if len(shapes) == 1:
        return (batch,)
    parts = torch.split(batch, [math.prod(shape) for shape in shapes], dim=1)
    return tuple(part.reshape(len(batch), *shape) for part, shape in zip(parts, shapes, strict=True))
