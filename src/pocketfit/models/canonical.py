"""The canonical form of a model: one aten graph, one input, proved to compute what the module does."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

from pocketfit.contract import Contract
from pocketfit.errors import ModelError, PocketfitError
from pocketfit.graph.base import relative_error
from pocketfit.graph.running import joined
from pocketfit.importing import origin
from pocketfit.models.checkpoint import check_finite
from pocketfit.models.export import canonical_graph, check_signature
from pocketfit.models.fingerprint import fingerprint
from pocketfit.models.reference import answers
from pocketfit.types import LoadedModel, TensorSpec

__all__ = ["canonicalise", "prepare", "source_of"]

# Folding batch-norm and a different batch size round differently; over the depth of real networks this stays below
# 1e-5 of the output range, while a wrong graph is off by far more than 1e-4.
TOLERANCE = 1e-4


def canonicalise(
    module: nn.Module,
    input_shape: tuple[int, ...],
    *,
    name: str,
    source: str = "",
    preprocess: Contract | None = None,
) -> LoadedModel:
    """Bring a float module into canonical form; it is put into eval mode and float32.

    Args:
        module: takes one float32 tensor and returns one, or several in a tuple, list or dict.
        input_shape: without the batch, such as (3, 224, 224).
        name: short name for tables and file names.
        source: what the user wrote, for the report.
        preprocess: recorded with the model.

    Raises:
        ModelError: the module does not take this input, cannot be exported, or its graph computes something else.
        WeightsError: a weight is not finite.
    """
    prepare(module)
    check_finite(module.state_dict(), name)
    check_signature(module)
    samples = _samples(input_shape)
    returned = answers(module, samples)
    graph, dynamic_batch = _graph(module, samples, [joined(tensors) for tensors in returned])
    output, *more = _outputs(graph, returned[0])
    return LoadedModel(
        name=name,
        source=source,
        graph=graph,
        input=TensorSpec(_placeholder(graph).name, (1, *input_shape)),
        output=output,
        dynamic_batch=dynamic_batch,
        fingerprint=fingerprint(graph),
        preprocess=preprocess,
        more_outputs=tuple(more),
    )


def source_of(node: Node) -> str:
    """Dotted path, in the user's model, of the module a node came from, such as `features.3.conv.0`; "" if unknown."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(stack.values()))[0] if stack else ""
    # The second call of one module is told apart as `block@1`, which is not a path that the user knows.
    return re.sub(r"@\d+", "", path)


def prepare(module: nn.Module) -> None:
    """Set a module up for inference in float32, in place."""
    # A graph from torch.export has its mode built in, and refuses to be asked.
    if not isinstance(module, GraphModule):
        module.eval()
    module.float().requires_grad_(False)


def _samples(input_shape: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, *input_shape, generator=generator) for _ in range(3)]


def _graph(
    module: nn.Module, samples: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> tuple[GraphModule, bool]:
    """The graph and whether it takes any batch size: it does when a batch gives what its samples give one by one."""
    try:
        graph = canonical_graph(module, torch.cat(list(samples[:2])), dynamic_batch=True)
        if _error(graph, torch.cat(list(samples)), torch.cat(list(expected))) <= TOLERANCE:
            return graph, True
    # Code that fixes the batch size fails in as many ways as there are operations; the fixed batch below is the answer.
    except Exception:
        pass
    return _fixed_batch_graph(module, samples, expected), False


def _fixed_batch_graph(
    module: nn.Module, samples: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> GraphModule:
    try:
        graph = canonical_graph(module, samples[0], dynamic_batch=False)
    except PocketfitError:
        raise
    # torch.export raises whatever the traced code and its own machinery raise.
    except Exception as error:
        raise ModelError(
            f"torch.export cannot turn the model into a graph{origin(error)}: {_first_line(error)}\n"
            "A branch or loop that depends on the values of a tensor has no counterpart in a graph: write it with "
            "torch.where, or take it out of forward."
        ) from error
    worst = max(_error(graph, sample, answer) for sample, answer in zip(samples, expected, strict=True))
    if worst > TOLERANCE:
        raise ModelError(
            f"The exported graph differs from the module by {worst:.2g} of the output range; {TOLERANCE:.0e} is "
            "allowed. A model that draws random numbers or keeps state between calls cannot be deployed."
        )
    return graph


def _error(graph: GraphModule, batch: torch.Tensor, expected: torch.Tensor) -> float:
    with torch.no_grad():
        return relative_error(expected, joined(graph(batch.clone())))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


def _placeholder(graph: GraphModule) -> Node:
    (node,) = graph.graph.find_nodes(op="placeholder")
    assert isinstance(node, Node)
    return node


def _outputs(graph: GraphModule, returned: Sequence[torch.Tensor]) -> list[TensorSpec]:
    """What the graph returns; no runtime's file can have a tensor as two of its inputs and outputs."""
    nodes = pytree.tree_leaves(graph.graph.output_node().args)
    if len(set(nodes)) < len(nodes) or (len(nodes) > 1 and any(node.op == "placeholder" for node in nodes)):
        names = ", ".join(node.name for node in nodes)
        raise ModelError(
            f"The model returns one tensor twice, or its input: {names}. "
            "Wrap it in a module whose forward returns each result once."
        )
    return [TensorSpec(node.name, tuple(tensor.shape)) for node, tensor in zip(nodes, returned, strict=True)]
