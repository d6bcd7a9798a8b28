"""Turn operations that write into their input into ones that return a new tensor."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from pocketfit.graph.base import Pass

__all__ = ["RemoveInPlace", "aliased_writes"]


class RemoveInPlace(Pass):
    """Replace `relu_(x)` by `relu(x)` and let everything after it read the result.

    1. `y = relu_(x); z = add(x, y)` becomes `y = relu(x); z = add(y, y)`: after the write, `x` *is* the result.
    2. A write into a view, or into something a view was taken of, is left alone: see `aliased_writes`.
    """

    name = "remove-in-place"

    def apply(self, module: GraphModule) -> int:
        """Rewrite and count the writes."""
        changes = 0
        for node in list(module.graph.nodes):
            functional = _functional(node)
            if functional is not None and not _aliased(node):
                _replace_later_uses(node)
                node.target = functional
                changes += 1
        return changes


def aliased_writes(module: GraphModule) -> tuple[str, ...]:
    """Names of the nodes that write into memory another node reads under a different name.

    Such a graph needs torch's own functionalisation (`ExportedProgram.run_decompositions({})`).
    """
    return tuple(node.name for node in module.graph.nodes if _writes(node) and _needs_aliasing(node))


def _writes(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _needs_aliasing(node: Node) -> bool:
    return _functional(node) is None or _aliased(node)


def _functional(node: Node) -> torch._ops.OpOverload | None:
    """The overload of the same name without the underscore, for an operation that writes into its first argument."""
    if not _writes(node) or not isinstance(node.target, torch._ops.OpOverload):
        return None
    name = node.target._schema.name.split("::")[1]
    if node.target.namespace != "aten" or not name.endswith("_") or _writes_elsewhere(node.target):
        return None
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    return getattr(packet, node.target._overloadname, None)


def _writes_elsewhere(target: torch._ops.OpOverload) -> bool:
    written = [bool(argument.alias_info and argument.alias_info.is_write) for argument in target._schema.arguments]
    return not written[0] or any(written[1:])


def _aliased(node: Node) -> bool:
    mutated = node.args[0]
    if not isinstance(mutated, Node) or mutated.op == "get_attr" or _is_view(mutated):
        return True
    return any(_is_view(user) and user is not node for user in mutated.users)


def _is_view(node: Node) -> bool:
    """Whether a node's result may share memory with its input: reshapes and such, and the parts of a split."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.op == "call_function"
    if _writes(node):
        return False
    returns_alias = any(result.alias_info is not None for result in node.target._schema.returns)
    return returns_alias or node.target in _MAY_ALIAS


# These composite operations do not say in their schema that they may return a view of their input, or the input itself.
_MAY_ALIAS = frozenset(
    {
        torch.ops.aten.dropout.default,
        torch.ops.aten.feature_dropout.default,
        torch.ops.aten.alpha_dropout.default,
        torch.ops.aten.feature_alpha_dropout.default,
        torch.ops.aten.pad.default,
        torch.ops.aten.einsum.default,
        torch.ops.aten.type_as.default,
        torch.ops.aten.sum_to_size.default,
        torch.ops.aten.atleast_1d.default,
        torch.ops.aten.atleast_2d.default,
        torch.ops.aten.atleast_3d.default,
        torch.ops.aten.meshgrid.default,
    }
)


def _replace_later_uses(node: Node) -> None:
    mutated = node.args[0]
    assert isinstance(mutated, Node)
    later = set()
    current = node.next
    while current.op != "root":
        later.add(current)
        current = current.next
    mutated.replace_all_uses_with(node, delete_user_cb=lambda user: user in later)
