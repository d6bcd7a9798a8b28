"""The op that a converter stumbles over without naming it, found by cutting the model short.

    model, plan ─cut behind the op in the middle→ does it still fail? ─the half that decides→ … → the first that fails

Every attempt is made in a child process, so that a converter may crash as often as it likes.
"""

from __future__ import annotations

import operator
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch.fx import GraphModule, Node

from pocketfit.errors import ConversionError, IsolationError
from pocketfit.graph.running import plain_copy
from pocketfit.runtimes.isolate import call
from pocketfit.types import LoadedModel, QuantizationPlan, Variant

__all__ = ["cut", "first_failing", "first_failing_in_child"]

# For one attempt, which is a part of a conversion that has ended.
TIMEOUT_S = 300.0


def first_failing(graph: GraphModule, converts: Callable[[str], bool]) -> str:
    """The first op behind which the model cannot be cut any more.

    Args:
        graph: of a model that does not convert.
        converts: whether the model converts when it ends with the op of that name.

    Returns:
        The op's name. Empty where nothing converts, not even the first op alone: then it is no op that is to blame.
    """
    ends = [node for node in graph.graph.nodes if _is_answer(node)]
    if not ends or not converts(ends[0].name):
        return ""
    good, bad = 0, len(ends) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if converts(ends[middle].name):
            good = middle
        else:
            bad = middle
    # What takes a tensor out of a list ends the model for the op that gave the list.
    first: Node = ends[bad].all_input_nodes[0] if ends[bad].target is operator.getitem else ends[bad]
    return first.name


def first_failing_in_child(
    runtime: str, model: LoadedModel, folder: Path, plan: Path, options: Mapping[str, str], log: Path
) -> str:
    """`first_failing` of a conversion that failed in a child process.

    Args:
        runtime: that could not take the variant.
        model: the model.
        folder: where it is saved.
        plan: JSON file of the plan.
        options: of the runtime, by name.
        log: receives what the converter prints.
    """

    def converts(name: str) -> bool:
        arguments = {"runtime": runtime, "model": folder, "plan": plan, "options": dict(options), "end": name}
        try:
            call("pocketfit.preflight.narrow:convert_cut", arguments, timeout_s=TIMEOUT_S, log=log)
        except (ConversionError, IsolationError):
            return False
        return True

    return first_failing(model.graph, converts)


def convert_cut(runtime: str, model: str, plan: str, options: Mapping[str, str], end: str) -> None:
    """The child's part of `first_failing_in_child`."""
    from pocketfit.compress.quantize.plan import plan_from_json
    from pocketfit.models.store import restore
    from pocketfit.runtimes import get_runtime

    whole = restore(Path(model))
    variant = Variant(*cut(whole, plan_from_json(Path(plan).read_bytes()), end), dict(options))
    with tempfile.TemporaryDirectory(prefix="pocketfit-cut-") as out:
        get_runtime(runtime).convert(variant, Path(out))


def cut(model: LoadedModel, plan: QuantizationPlan, end: str) -> tuple[LoadedModel, QuantizationPlan]:
    """The model up to one of its ops, whose result it answers, and what the plan says of that part."""
    graph = plain_copy(model.graph)
    last = next(node for node in graph.graph.nodes if node.name == end)
    graph.graph.output_node().args = ((last,),)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    left = {node.name for node in graph.graph.nodes}
    shorter = replace(
        plan,
        layers={name: layer for name, layer in plan.layers.items() if name in left},
        activations={name: activation for name, activation in plan.activations.items() if name in left},
    )
    shape = (1, *last.meta["val"].shape[1:])
    return replace(model, graph=graph, output=replace(model.output, shape=shape), more_outputs=()), shorter


def _is_answer(node: Node) -> bool:
    """Whether a model can answer the result: one tensor of floats, samples first."""
    value = node.meta.get("val") if node.op == "call_function" else None
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 1
