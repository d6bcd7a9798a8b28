"""From a module to an aten graph."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError
from pocketfit.graph import aliased_writes, optimise
from pocketfit.graph.remove_identity import remove_assertions
from pocketfit.graph.running import joined
from pocketfit.models.quiet import quiet
from pocketfit.types import LoadedModel

__all__ = ["canonical_graph", "check_signature", "export_model", "export_program", "graph_of", "raw_graph"]

Inputs = tuple[torch.Tensor, ...]


def canonical_graph(module: nn.Module, example: Inputs, *, dynamic_batch: bool) -> GraphModule:
    """Export, optimise, and export again, so that node names are those that saving and restoring will give.

    Args:
        module: in eval mode.
        example: its float32 inputs, with batch 2 for a dynamic batch, otherwise 1.
        dynamic_batch: whether the graph is to take any batch size.

    Raises:
        ModelError: a graph that still trains.
        Exception: whatever `torch.export` raises for code it cannot follow.
    """
    graph = raw_graph(module, example, dynamic_batch=dynamic_batch)
    # The passes are checked on one sample: running the model is what takes the time here.
    optimise(graph, joined(example)[:1])
    return graph_of(export_program(graph, example, dynamic_batch=dynamic_batch))


def raw_graph(module: nn.Module, example: Inputs, *, dynamic_batch: bool) -> GraphModule:
    """Export, and nothing else: the graph as the passes are given it; arguments and errors are `canonical_graph`'s."""
    program = export_program(module, example, dynamic_batch=dynamic_batch)
    graph = graph_of(program)
    _check_inference(graph)
    if aliased_writes(graph):
        with quiet():
            graph = graph_of(program.run_decompositions({}))
    _return_tensors(graph)
    _name_inputs(graph, getattr(module, "input_names", ()))
    return graph


def export_program(module: nn.Module, example: Inputs, *, dynamic_batch: bool) -> ExportedProgram:
    """`torch.export.export` with the batch dynamic or fixed to that of the example."""
    shapes = _any_batch(module, len(example)) if dynamic_batch else None
    # Where gradients are off already, a torch.no_grad() inside the model leaves no trace in the graph.
    with quiet(), torch.no_grad():
        return torch.export.export(module, example, dynamic_shapes=shapes)


def _any_batch(module: nn.Module, inputs: int) -> tuple[Any, ...]:
    """Dynamic shapes as torch wants them: those of `*inputs` in a tuple of their own."""
    bound = inspect.signature(module.forward).bind(*({0: Dim.DYNAMIC} for _ in range(inputs)))
    return tuple(bound.arguments.values())


def export_model(model: LoadedModel) -> ExportedProgram:
    """A model's graph as a program, with the batch that the model takes."""
    example = tuple(torch.zeros(2 if model.dynamic_batch else 1, *one.shape[1:]) for one in model.inputs)
    return export_program(model.graph, example, dynamic_batch=model.dynamic_batch)


def check_signature(module: nn.Module, inputs: int) -> None:
    """Refuse a module whose `forward` cannot be called with so many tensors.

    Raises:
        ModelError: naming the inputs it wants.
    """
    try:
        inspect.signature(module.forward).bind(*(object() for _ in range(inputs)))
    except TypeError:
        wanted = list(inspect.signature(module.forward).parameters)
        raise ModelError(
            f"forward({', '.join(wanted)}) cannot be called with {inputs} input{'s' if inputs > 1 else ''}. "
            "Give a shape for each, such as --input 3x224x224+10, or wrap the model in a module that fills in "
            "the rest."
        ) from None


def graph_of(program: ExportedProgram) -> GraphModule:
    """The program's graph without assertions: each export puts one beside a cast, and writes it in another way."""
    graph = program.module(check_guards=False)
    assert isinstance(graph, GraphModule)
    remove_assertions(graph)
    return graph


def _return_tensors(graph: GraphModule) -> None:
    """Make the graph return its tensor itself, or a tuple of several, however the module nests them."""
    output, codegen = graph.graph.output_node(), graph.graph._codegen
    assert isinstance(codegen, torch.fx.graph._PyTreeCodeGen)
    tensors = tuple(leaf for leaf in pytree.tree_leaves(output.args) if isinstance(leaf, torch.fx.Node))
    output.args = (tensors,)
    returned = 0 if len(tensors) == 1 else tensors
    codegen.pytree_info = codegen.pytree_info._replace(out_spec=pytree.tree_structure(returned))
    graph.recompile()


def _name_inputs(graph: GraphModule, names: Sequence[str]) -> None:
    """Give the inputs the names that a module of `forward(*inputs)` knows them by."""
    for node, name in zip(graph.graph.find_nodes(op="placeholder"), names, strict=False):
        node._rename(re.sub(r"\W", "_", name))
        node.target = node.name
    codegen = graph.graph._codegen
    assert isinstance(codegen, torch.fx.graph._PyTreeCodeGen)
    inputs = [node.name for node in graph.graph.find_nodes(op="placeholder")]
    codegen.pytree_info = codegen.pytree_info._replace(orig_args=inputs)
    graph.recompile()


def _check_inference(graph: GraphModule) -> None:
    """Refuse what depends on the batch or on chance; a normalised weight depends on neither."""
    constants: set[torch.fx.Node] = set()
    for node in graph.graph.nodes:
        if node.op == "get_attr" or (node.all_input_nodes and constants.issuperset(node.all_input_nodes)):
            constants.add(node)
        name = str(getattr(node.target, "_opname", ""))
        if name == "batch_norm" and node.args[5] and node not in constants:
            raise ModelError(
                f"The batch normalisation {node.name} uses the statistics of the batch, not stored ones. "
                "Export the model in eval mode, and give its BatchNorm layers track_running_stats=True."
            )
        if name.endswith("dropout") and node.args[2]:
            raise ModelError(
                f"The dropout {node.name} is active, so no answer can be repeated. "
                "Export the model in eval mode, and leave training=True out of its functional dropouts."
            )
