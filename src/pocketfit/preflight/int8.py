"""Whether INT8 can be expected to pay: a rule of thumb from the graph, not a measurement.

INT8 kernels save time where the arithmetic is, and each change between integers and floats costs a pass over a tensor.
A model pays where nearly all of its multiply-accumulates are in layers that become INT8, and changes are few.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass

from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.placement import Placement
from pocketfit.graph.calls import op_name
from pocketfit.types import Precision, RuntimeInfo

__all__ = ["Int8", "expect"]

# Below the first share of multiply-accumulates INT8 is worth little, below the second nothing.
LIKELY, DOUBTFUL = 0.9, 0.5
# Changes between integers and floats for each INT8 layer, above which they eat up what the layers save.
CHANGES_PER_LAYER = 1.0


@dataclass(frozen=True)
class Int8:
    """What INT8 would do.

    Args:
        expectation: "likely", "doubtful" or "unlikely" to be faster; "none" where the runtime has no INT8.
        why: in a sentence.
        layers: that become INT8.
        macs_share: of all multiply-accumulates, 0..1, that are in them.
        changes: between integers and floats inside the model.
    """

    expectation: str
    why: str
    layers: int = 0
    macs_share: float = 0.0
    changes: int = 0


def expect(graph: GraphModule, placement: Placement, macs: Mapping[str, int], info: RuntimeInfo) -> Int8:
    """What to expect of static INT8 in a runtime.

    Args:
        graph: canonical.
        placement: of INT8 in it.
        macs: multiply-accumulates by node name.
        info: what the runtime can do.
    """
    if Precision.INT8 not in info.precisions:
        return Int8("none", f"{info.title} has no INT8")
    nodes = {node.name: node for node in graph.graph.nodes}
    layers = [name for name in placement.layers if op_name(nodes[name]) in info.int8_layers]
    if not layers:
        return Int8("none", "no layer of this model becomes INT8")
    total = sum(macs.values())
    share = sum(macs.get(name, 0) for name in layers) / total if total else 0.0
    changes = _changes(graph, placement)
    return Int8(*_verdict(share, changes / len(layers), changes), len(layers), share, changes)


def _verdict(share: float, changes_per_layer: float, changes: int) -> tuple[str, str]:
    times = f"{changes} change{'' if changes == 1 else 's'}"
    arithmetic = f"{share:.0%} of the multiply-accumulates become INT8, with {times} between INT8 and float"
    if share < DOUBTFUL:
        return "unlikely", arithmetic
    if share < LIKELY or changes_per_layer > CHANGES_PER_LAYER:
        return "doubtful", arithmetic
    return "likely", arithmetic


def _changes(graph: GraphModule, placement: Placement) -> int:
    """Tensors that are quantized or restored between two ops."""
    int8 = placement.tensors.keys() | set(placement.layers)
    computed = [node for node in graph.graph.nodes if node.op == "call_function"]
    return sum(
        any((node.name in int8) != (user.name in int8) for user in node.users if user.op == "call_function")
        for node in computed
        if not _passes_on(node)
    )


def _passes_on(node: Node) -> bool:
    """Whether the node only hands out pieces of what another computed."""
    return any(user.target is operator.getitem for user in node.users)
