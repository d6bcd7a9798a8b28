"""Write an op that a runtime refuses as ops that it takes.

The expansions are PyTorch's own decompositions of its operators. A rewrite is offered only where all that it leads to
is taken by the runtime, and the rewritten model has to answer as the old one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import outputs, relative_error
from pocketfit.models.canonical import TOLERANCE, canonicalise
from pocketfit.models.export import export_program
from pocketfit.preflight.support import Verdict, of_op
from pocketfit.types import LoadedModel

__all__ = ["offered", "rewrite"]

_Decomposition = Callable[..., Any]


def offered(model: LoadedModel, runtime: str, refused: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Which refused ops can be rewritten into ops that the runtime takes.

    Args:
        model: in canonical form; it is not changed.
        runtime: its name.
        refused: aten names, such as `aten.silu.default`.

    Returns:
        For each op that can be, the aten names of what it becomes.
    """
    before = _ops(model.graph)
    found = {}
    for op in sorted(refused):
        rewritten = _attempt(model, op)
        if rewritten is None or op in _ops(rewritten.graph):
            continue
        new = _new_nodes(rewritten.graph, before)
        if all(of_op(node, runtime).verdict is Verdict.TAKEN for node in new):
            found[op] = tuple(sorted({str(node.target) for node in new}))
    return found


def rewrite(model: LoadedModel, ops: Collection[str]) -> LoadedModel:
    """The model with these ops written out.

    Args:
        model: in canonical form; it is not changed.
        ops: aten names; what has no decomposition stays as it is.

    Raises:
        ModelError: the rewritten graph answers otherwise.
    """
    table = {target: decomposition for target, decomposition in _decompositions().items() if str(target) in ops}
    example = torch.zeros(2 if model.dynamic_batch else 1, *model.input.shape[1:])
    program = export_program(model.graph, example, dynamic_batch=model.dynamic_batch)
    graph = program.run_decompositions(table).module(check_guards=False)
    rewritten = canonicalise(graph, model.input.shape[1:], name=model.name, source=model.source)
    return replace(rewritten, preprocess=model.preprocess)


def _attempt(model: LoadedModel, op: str) -> LoadedModel | None:
    try:
        rewritten = rewrite(model, (op,))
    except Exception:  # a decomposition that does not trace is none that can be offered
        return None
    example = torch.randn(model.input.shape, generator=torch.Generator().manual_seed(0))
    old, new = outputs(model.graph, example), outputs(rewritten.graph, example)
    same = all(relative_error(one, other) <= TOLERANCE for one, other in zip(old, new, strict=True))
    return rewritten if same else None


def _ops(graph: GraphModule) -> set[str]:
    return {str(node.target) for node in graph.graph.nodes if node.op == "call_function"}


def _new_nodes(graph: GraphModule, before: set[str]) -> list[Node]:
    return [node for node in graph.graph.nodes if node.op == "call_function" and str(node.target) not in before]


@cache
def _decompositions() -> dict[Any, _Decomposition]:
    from torch._decomp import decomposition_table

    # What torch.export would write out by default, and below it what it could.
    default: dict[Any, _Decomposition] = {**torch.export.default_decompositions()}
    return {**decomposition_table, **default}
