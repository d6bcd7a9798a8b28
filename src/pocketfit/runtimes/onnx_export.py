"""A torch graph as an ONNX model, for the runtimes whose way leads through ONNX.

The model is the same on every machine: what the exporter notes for debugging, stack traces and paths, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pocketfit.errors import ConversionError
from pocketfit.runtimes.batch import BATCH, export_with_batch
from pocketfit.runtimes.said import REPLACE_NAMED, first_line

if TYPE_CHECKING:
    import onnx
    from torch.fx import Graph, GraphModule

    from pocketfit.types import LoadedModel

__all__ = ["export_onnx"]

# What torch.onnx says, somewhere in a message of many lines, of an op that it cannot translate.
_NO_OP = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")

# What is told of a tensor between those of the graph.
_BETWEEN = "between"


def export_onnx(
    graph: GraphModule, model: LoadedModel, options: Mapping[str, str], *, runtime: str, opset: int
) -> onnx.ModelProto:
    """Export a graph.

    Args:
        graph: takes float32 tensors; its nodes' names become the names of tensors.
        model: that the graph was made from.
        options: of the artifact; they tell the batch.
        runtime: for whom; named in the error.
        opset: version of the ONNX operators.

    Raises:
        ConversionError: naming the op that ONNX, or the exporter, does not have.
    """
    import torch

    try:
        exported = export_with_batch(graph, model, options)
        with torch.no_grad():
            program = torch.onnx.export(exported, dynamo=True, opset_version=opset, verbose=False)
    except Exception as error:  # the exporter raises whatever its many layers raise
        raise _explain(error, runtime) from error
    assert program is not None  # only the TorchScript exporter returns None
    proto: onnx.ModelProto = program.model_proto
    _strip(proto)
    assert program.exported_program is not None
    _rename(proto, _first_names(program.exported_program.graph))
    return proto


def _explain(error: Exception, runtime: str) -> ConversionError:
    unknown = sorted(set(_NO_OP.findall(str(error))))
    if unknown:
        return ConversionError(runtime, f"torch.onnx cannot translate {', '.join(unknown)}", REPLACE_NAMED)
    return ConversionError(runtime, f"torch.onnx could not export the model: {first_line(error)}", REPLACE_NAMED)


def _first_names(exported: Graph) -> dict[str, str]:
    """By the name of a tensor, that of the node of the given graph whose result it is.

    The exporter takes ops apart, and where the batch is dynamic it counts further than the graph did.
    """
    last = {node.meta["from_node"][0].name: node.name for node in exported.nodes if node.meta.get("from_node")}
    return {name: first for first, name in last.items()}


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Give computed tensors these names; what has one of them by chance gets another."""
    graph = model.graph
    computed = {name for node in graph.node for name in node.output}
    names = {name: first for name, first in names.items() if name in computed}
    others = computed | {value.name for value in (*graph.initializer, *graph.input)}
    chance = others.intersection(names.values()).difference(names)
    names |= {name: f"{name}.{_BETWEEN}" for name in chance}
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _strip(model: onnx.ModelProto) -> None:
    model.producer_name, model.producer_version = "pocketfit", ""
    graph = model.graph
    del graph.value_info[:]
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    for value in (*graph.input, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:  # nothing else is dynamic, and torch calls it by a number
                side.dim_param = BATCH
