"""Where in the user's model an op comes from, and what the other runtimes say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.fx import GraphModule, Node

from pocketfit.errors import ConversionError
from pocketfit.graph.calls import by_op, calls, op_name
from pocketfit.models.canonical import source_of
from pocketfit.preflight.support import Verdict, of_op
from pocketfit.runtimes import BUILT_IN

__all__ = ["Place", "explain", "guilty", "place_of"]

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in .*\n\s*(?P<code>.*)')
_WORD = re.compile(r"[a-z_]\w*", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where an op stands in the user's model.

    Args:
        layer: dotted module path; empty for the model's own `forward`.
        line: `file.py:12`; empty where it is not known, as in a graph from a file without it.
        code: that line of code; empty where it is not known.
    """

    layer: str
    line: str
    code: str

    def __str__(self) -> str:
        layer = f"layer '{self.layer}'" if self.layer else "the model's own forward"
        return f"{layer} ({self.line}: {self.code})" if self.line else layer


def place_of(node: Node) -> Place:
    """Where a node of a canonical graph comes from."""
    frames = [match.groupdict() for match in _FRAME.finditer(node.meta.get("stack_trace") or "")]
    # Within torch nobody looks for a fault of their model.
    own = [frame for frame in frames if "torch" not in Path(frame["file"]).parts] or frames
    if not own:
        return Place(source_of(node), "", "")
    last = own[-1]
    return Place(source_of(node), f"{Path(last['file']).name}:{last['line']}", last["code"].strip())


def explain(error: ConversionError, graph: GraphModule, first: str = "") -> ConversionError:
    """The error with the op's place in the model and what other runtimes say of the op.

    Args:
        error: as the runtime raised it.
        graph: the canonical graph that it could not take.
        first: name of the first op that it cannot take, where that had to be found; empty for what `guilty` tells.
    """
    if first:
        (node,) = (node for node in calls(graph) if node.name == first)
        found = f"Up to it the model converts, with it no more: {_about([node], error.runtime)}"
        return ConversionError(error.runtime, f"{error.message.rstrip('.')}. {found}", error.hint)
    ops = guilty(error, graph)
    if not ops:
        return error
    parts = [error.message.rstrip("."), *(_about(nodes, error.runtime) for nodes in ops)]
    return ConversionError(error.runtime, ". ".join(parts), error.hint)


def guilty(error: ConversionError, graph: GraphModule) -> list[list[Node]]:
    """Nodes by op: those that the message names; else those that the runtime is known to refuse."""
    words = {word.lower() for word in _WORD.findall(error.message)}
    ops = list(by_op(graph).values())
    named = [nodes for nodes in ops if op_name(nodes[0]) in words]
    return named or [nodes for nodes in ops if of_op(nodes[0], error.runtime).verdict is Verdict.REFUSED]


def _about(nodes: Sequence[Node], runtime: str) -> str:
    op = op_name(nodes[0])
    count = f"{op} is used {len(nodes)} times, first in" if len(nodes) > 1 else f"{op} is used in"
    return f"{count} {place_of(nodes[0])}; {_others(nodes[0], runtime)}"


def _others(node: Node, runtime: str) -> str:
    """What is known of the op in the other runtimes."""
    verdicts = {name: of_op(node, name).verdict for name in BUILT_IN if name != runtime}
    said = []
    for how, meant in (("taken", Verdict.TAKEN), ("taken in part", Verdict.PARTLY), ("refused", Verdict.REFUSED)):
        names = [name for name, verdict in verdicts.items() if verdict is meant]
        if names:
            said.append(f"{how} by {', '.join(names)}")
    return ", ".join(said) or "not tried with other runtimes"
