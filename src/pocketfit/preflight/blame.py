"""Where in the user's model an op comes from, and what the other runtimes say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.fx import GraphModule, Node

from pocketfit.errors import ConversionError
from pocketfit.models.canonical import source_of
from pocketfit.preflight.support import Verdict, of_op
from pocketfit.runtimes import BUILT_IN

__all__ = ["Place", "explain", "place_of"]

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
    own = [frame for frame in frames if f"{Path('/')}torch{Path('/')}" not in frame["file"]] or frames
    if not own:
        return Place(source_of(node), "", "")
    last = own[-1]
    return Place(source_of(node), f"{Path(last['file']).name}:{last['line']}", last["code"].strip())


def explain(error: ConversionError, graph: GraphModule) -> ConversionError:
    """The error with the op's place in the model and what other runtimes say of the op.

    Args:
        error: as the runtime raised it.
        graph: the canonical graph that it could not take.
    """
    guilty = _guilty(error, graph)
    if not guilty:
        return error
    parts = [error.message.rstrip("."), *(_about(nodes, error.runtime) for nodes in guilty)]
    return ConversionError(error.runtime, ". ".join(parts), error.hint)


def _guilty(error: ConversionError, graph: GraphModule) -> list[list[Node]]:
    """Nodes by op: those that the message names; else those that the runtime is known to refuse."""
    words = {word.lower() for word in _WORD.findall(error.message)}
    by_op: dict[str, list[Node]] = {}
    for node in graph.graph.nodes:
        if node.op == "call_function":
            by_op.setdefault(str(node.target), []).append(node)
    named = [nodes for op, nodes in by_op.items() if _packet(op) in words]
    refused = [nodes for nodes in by_op.values() if of_op(nodes[0], error.runtime).verdict is Verdict.REFUSED]
    return named or refused


def _about(nodes: Sequence[Node], runtime: str) -> str:
    op = _packet(str(nodes[0].target))
    count = f"{op} is used {len(nodes)} times, first in" if len(nodes) > 1 else f"{op} is used in"
    return f"{count} {place_of(nodes[0])}; {_others(nodes[0], runtime)}"


def _others(node: Node, runtime: str) -> str:
    """What is known of the op in the other runtimes."""
    verdicts = {name: of_op(node, name).verdict for name in BUILT_IN if name != runtime}
    taking = [name for name, verdict in verdicts.items() if verdict is Verdict.TAKEN]
    partly = [name for name, verdict in verdicts.items() if verdict is Verdict.PARTLY]
    refusing = [name for name, verdict in verdicts.items() if verdict is Verdict.REFUSED]
    said = [
        f"{how} {', '.join(names)}"
        for how, names in (("taken by", taking), ("taken in part by", partly), ("refused by", refusing))
        if names
    ]
    return ", ".join(said) or "not tried with other runtimes"


def _packet(op: str) -> str:
    """`silu` of `aten.silu.default`."""
    parts = op.split(".")
    return parts[1] if len(parts) > 1 else op
