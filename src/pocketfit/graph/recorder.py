"""One run of a graph, noting what each node read, wrote and multiplied.

A run tells what the graph alone does not: shapes are numbers even where the graph says "any batch", and a view betrays
itself by sharing the storage of its input, so that no list of viewing ops is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from pocketfit.graph.running import arguments

__all__ = ["Record", "record"]

_Shape = tuple[int, ...]


@dataclass(frozen=True)
class Record:
    """What one node did.

    Args:
        node: of the graph.
        output_shape: of its first output.
        numbers: how many floating-point numbers its outputs have.
        buffers: bytes by number of all storages its outputs lie in.
        macs: multiply-accumulates.
    """

    node: Node
    output_shape: _Shape
    numbers: int
    buffers: dict[int, int]
    macs: int


def record(graph: GraphModule, example: torch.Tensor) -> tuple[Record, ...]:
    """Run the graph once, on rows where it has several inputs, and return a record per node, in the graph's order."""
    recorder = _Recorder(graph)
    with torch.no_grad(), recorder.flops:
        recorder.run(*arguments(graph, example))
    return tuple(recorder.records.values())


class _Recorder(Interpreter):
    def __init__(self, graph: GraphModule) -> None:
        # Values are kept to the end: a freed address would be given out again and look like a view.
        super().__init__(graph, garbage_collect_values=False)
        self.flops = FlopCounterMode(display=False, custom_mapping=_NOT_COUNTED_BY_TORCH)
        self.records: dict[Node, Record] = {}

    def run_node(self, n: Node) -> Any:
        before = self.flops.get_total_flops()
        result = super().run_node(n)
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        storages = [tensor.untyped_storage() for tensor in tensors]
        self.records[n] = Record(
            node=n,
            output_shape=tuple(tensors[0].shape) if tensors else (),
            numbers=sum(tensor.numel() for tensor in tensors if tensor.is_floating_point()),
            buffers={storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()},
            macs=(self.flops.get_total_flops() - before) // 2,
        )
        return result


def _attention_flops(query: _Shape, key: _Shape, value: _Shape, *_: Any, **__: Any) -> int:
    """Of the scores (every query with every key) and of the values they weigh."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _recurrent_flops(inputs: _Shape, input_weight: _Shape, hidden_weight: _Shape, *_: Any, **__: Any) -> int:
    """Of one LSTM layer in one direction: both matrices once per time step and sample."""
    return 2 * prod(inputs[:2]) * (prod(input_weight) + prod(hidden_weight))


# What CPU builds dispatch attention and LSTM to; torch counts their GPU counterparts only.
_NOT_COUNTED_BY_TORCH = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent_flops,
}
