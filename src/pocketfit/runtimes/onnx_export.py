"""A torch graph as an ONNX model, for the runtimes whose way leads through ONNX.

The model is the same on every machine: what the exporter notes for debugging, stack traces and paths, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketfit.errors import ConversionError
from pocketfit.runtimes.said import REPLACE_NAMED, first_line

if TYPE_CHECKING:
    import onnx
    from torch.fx import GraphModule

__all__ = ["export_onnx"]

# What torch.onnx says, somewhere in a message of many lines, of an op that it cannot translate.
_NO_OP = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")


def export_onnx(graph: GraphModule, shape: Sequence[int], *, runtime: str, opset: int) -> onnx.ModelProto:
    """Export a graph of one input.

    Args:
        graph: takes one float32 tensor; its nodes' names become the names of tensors.
        shape: of the input, batch first.
        runtime: for whom; named in the error.
        opset: version of the ONNX operators.

    Raises:
        ConversionError: naming the op that ONNX, or the exporter, does not have.
    """
    import torch

    example = torch.zeros(tuple(shape))
    try:
        with torch.no_grad():
            exported = torch.export.export(graph, (example,))
            program = torch.onnx.export(exported, (example,), dynamo=True, opset_version=opset, verbose=False)
    except Exception as error:  # the exporter raises whatever its many layers raise
        raise _explain(error, runtime) from error
    assert program is not None  # only the TorchScript exporter returns None
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    return model


def _explain(error: Exception, runtime: str) -> ConversionError:
    unknown = sorted(set(_NO_OP.findall(str(error))))
    if unknown:
        return ConversionError(runtime, f"torch.onnx cannot translate {', '.join(unknown)}", REPLACE_NAMED)
    return ConversionError(runtime, f"torch.onnx could not export the model: {first_line(error)}", REPLACE_NAMED)


def _strip(model: onnx.ModelProto) -> None:
    model.producer_name, model.producer_version = "pocketfit", ""
    graph = model.graph
    del graph.value_info[:]
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
