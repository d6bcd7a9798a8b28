"""The canonical form of a model: one aten graph, proved to compute what the module does."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

from pocketfit.contract import Contract
from pocketfit.errors import ModelError, PocketfitError
from pocketfit.graph.base import outputs, relative_error
from pocketfit.graph.running import joined
from pocketfit.importing import origin
from pocketfit.models.checkpoint import check_finite
from pocketfit.models.export import canonical_graph, check_signature
from pocketfit.models.fingerprint import fingerprint
from pocketfit.models.reference import answers
from pocketfit.models.source import shapes_of
from pocketfit.types import InputShape, LoadedModel, TensorSpec

__all__ = ["canonicalise", "prepare", "random_inputs", "source_of"]

# Folding batch-norm and a different batch size round differently; over the depth of real networks this stays below
# 1e-5 of the output range, while a wrong graph is off by far more than 1e-4.
TOLERANCE = 1e-4


def canonicalise(
    module: nn.Module,
    input_shape: InputShape,
    *,
    name: str,
    source: str = "",
    preprocess: Contract | None = None,
) -> LoadedModel:
    """Bring a float module into canonical form; it is put into eval mode and float32.

    Args:
        module: takes one float32 tensor or several, and returns one, or several in a tuple, list or dict.
        input_shape: without the batch, such as (3, 224, 224); for several inputs one shape for each.
        name: short name for tables and file names.
        source: what the user wrote, for the report.
        preprocess: recorded with the model.

    Raises:
        ModelError: the module does not take this input, cannot be exported, or its graph computes something else.
        WeightsError: a weight is not finite.
    """
    prepare(module)
    check_finite(module.state_dict(), name)
    shapes = shapes_of(input_shape)
    check_signature(module, len(shapes))
    samples = random_inputs(shapes)
    returned = answers(module, samples)
    graph, dynamic_batch = _graph(module, samples, [joined(tensors) for tensors in returned])
    output, *more = _outputs(graph, returned[0])
    first, *others = _inputs(graph, shapes)
    return LoadedModel(
        name=name,
        source=source,
        graph=graph,
        input=first,
        output=output,
        dynamic_batch=dynamic_batch,
        fingerprint=fingerprint(graph),
        preprocess=preprocess,
        more_outputs=tuple(more),
        more_inputs=tuple(others),
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


def random_inputs(shapes: Sequence[tuple[int, ...]]) -> list[tuple[torch.Tensor, ...]]:
    """Three samples of noise, each with batch 1, the same every time."""
    generator = torch.Generator().manual_seed(0)
    return [tuple(torch.randn(1, *shape, generator=generator) for shape in shapes) for _ in range(3)]


def _batch(samples: Sequence[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    return tuple(map(torch.cat, zip(*samples, strict=True)))


def _graph(
    module: nn.Module, samples: Sequence[tuple[torch.Tensor, ...]], expected: Sequence[torch.Tensor]
) -> tuple[GraphModule, bool]:
    """The graph and whether it takes any batch size: it does when a batch gives what its samples give one by one."""
    try:
        graph = canonical_graph(module, _batch(samples[:2]), dynamic_batch=True)
        if _error(graph, _batch(samples), torch.cat(list(expected))) <= TOLERANCE:
            return graph, True
    # Code that fixes the batch size fails in as many ways as there are operations; the fixed batch below is the answer.
    except Exception:
        pass
    return _fixed_batch_graph(module, samples, expected), False


def _fixed_batch_graph(
    module: nn.Module, samples: Sequence[tuple[torch.Tensor, ...]], expected: Sequence[torch.Tensor]
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


def _error(graph: GraphModule, inputs: Sequence[torch.Tensor], expected: torch.Tensor) -> float:
    return relative_error(expected, joined(outputs(graph, *inputs)))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


def _inputs(graph: GraphModule, shapes: Sequence[tuple[int, ...]]) -> list[TensorSpec]:
    nodes = graph.graph.find_nodes(op="placeholder")
    unread = [node.name for node in nodes if not node.users]
    if unread and len(nodes) > 1:
        raise ModelError(f"No output depends on the input {', '.join(unread)}. Wrap the model in a module without it.")
    return [TensorSpec(node.name, (1, *shape)) for node, shape in zip(nodes, shapes, strict=True)]


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
