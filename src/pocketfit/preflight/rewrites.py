"""Write an op that a runtime refuses as ops that it takes.

The expansions are PyTorch's own decompositions of its operators. A rewrite is offered only where all that it leads to
is taken by the runtime, and the rewritten model has to answer as the old one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch.fx import Node

from pocketfit.errors import ModelError
from pocketfit.graph.base import difference
from pocketfit.graph.calls import by_op
from pocketfit.models.canonical import TOLERANCE, canonicalise
from pocketfit.models.export import export_model, graph_of
from pocketfit.preflight.support import Verdict, of_op
from pocketfit.types import LoadedModel

__all__ = ["expansions", "offered", "rewrite"]

_Decomposition = Callable[..., Any]


def expansions(model: LoadedModel, ops: Collection[str]) -> dict[str, list[Node]]:
    """What each op would be written out as.

    Args:
        model: in canonical form; it is not changed.
        ops: aten names, such as `aten.silu.default`.

    Returns:
        Of each op that can be written out, the nodes of ops that the model did not hold before.
    """
    before = by_op(model.graph)
    found = {}
    for op in sorted(ops):
        try:
            after = by_op(rewrite(model, (op,)).graph)
        except Exception:  # a decomposition that does not trace is none that can be offered
            continue
        if op not in after:
            found[op] = [node for name, nodes in after.items() if name not in before for node in nodes]
    return found


def offered(expanded: Mapping[str, Sequence[Node]], runtime: str) -> dict[str, tuple[str, ...]]:
    """Which ops can be rewritten into ops that a runtime takes.

    Args:
        expanded: what `expansions` found of the ops that it refuses.
        runtime: its name.

    Returns:
        For each op that can be, the aten names of what it becomes.
    """
    return {
        op: tuple(sorted({str(node.target) for node in nodes}))
        for op, nodes in expanded.items()
        if all(of_op(node, runtime).verdict is Verdict.TAKEN for node in nodes)
    }


def rewrite(model: LoadedModel, ops: Collection[str]) -> LoadedModel:
    """The model with these ops written out.

    Args:
        model: in canonical form; it is not changed.
        ops: aten names; what has no decomposition stays as it is.

    Raises:
        ModelError: the rewritten graph answers otherwise.
    """
    table = {target: decomposition for target, decomposition in _decompositions().items() if str(target) in ops}
    graph = graph_of(export_model(model).run_decompositions(table))
    rewritten = canonicalise(graph, model.input_shape, name=model.name, source=model.source)
    _check_answers(model, rewritten)
    return replace(rewritten, preprocess=model.preprocess)


def _check_answers(old: LoadedModel, new: LoadedModel) -> None:
    rows = torch.randn(1, *old.row_shape, generator=torch.Generator().manual_seed(0))
    error = difference(old.graph, new.graph, rows)
    if error > TOLERANCE:
        raise ModelError(f"Written out, the model {old.name} answers otherwise: by {error:.2g} of its output's range.")


@cache
def _decompositions() -> dict[Any, _Decomposition]:
    from torch._decomp import decomposition_table

    # What torch.export would write out by default, and below it what it could.
    default: dict[Any, _Decomposition] = {**torch.export.default_decompositions()}
    return {**decomposition_table, **default}
