"""Take out what does nothing in inference."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import Argument

from pocketfit.graph.base import Pass

__all__ = ["RemoveIdentity", "remove_assertions"]

aten = torch.ops.aten


class RemoveIdentity(Pass):
    """Let the users of a do-nothing node read its input.

    1. `dropout(x, p, False)` and its kin: the identity outside training.
    2. `alias`, `detach`, `lift_fresh_copy`: they matter to autograd only.
    3. `clone` and `contiguous` of a tensor that is contiguous already; otherwise they decide whether a `view` works.
    4. `to(x, dtype)` where `x` has that dtype.
    5. `slice` over a whole dimension.
    6. Assertions and guards, which have no result.
    7. `slice_scatter` over a whole dimension: a write into all of a tensor is what was written.
    """

    name = "remove-identity"

    def apply(self, module: GraphModule) -> int:
        """Remove and count the do-nothing nodes."""
        changes = remove_assertions(module)
        for node in list(module.graph.nodes):
            if _is_identity(node):
                node.replace_all_uses_with(node.args[1] if node.target is aten.slice_scatter.default else node.args[0])
                module.graph.erase_node(node)
                changes += 1
        return changes


def remove_assertions(module: GraphModule) -> int:
    """Take out, in place, what has no result but to refuse values; return how many went."""
    found = [node for node in module.graph.nodes if _is_assertion(node)]
    for node in found:
        module.graph.erase_node(node)
    module.recompile()
    return len(found)


_DROPOUTS = frozenset(
    {
        aten.dropout.default,
        aten.feature_dropout.default,
        aten.alpha_dropout.default,
        aten.feature_alpha_dropout.default,
    }
)
_ALIASES = frozenset({aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default})
_COPIES = frozenset({aten.clone.default, aten.contiguous.default})
_CASTS = frozenset({aten.to.dtype, aten.to.dtype_layout, aten.to.device, aten._to_copy.default})
_ASSERTIONS = frozenset(
    {
        aten._assert_async.msg,
        aten._assert_scalar.default,
        aten._assert_tensor_metadata.default,
        aten.sym_constrain_range.default,
        aten.sym_constrain_range_for_size.default,
    }
)
_INT64_MAX = 2**63 - 1


def _is_assertion(node: Node) -> bool:
    return not node.users and (node.target in _ASSERTIONS or (node.op == "call_module" and node.name == "_guards_fn"))


def _is_identity(node: Node) -> bool:
    if node.op != "call_function":
        return False
    if node.target in _DROPOUTS:
        return node.args[2] is False
    if node.target in _COPIES:
        return _contiguous(node) and node.kwargs.get("memory_format") in (None, *_CONTIGUOUS)
    if node.target in _CASTS:
        return _same_dtype(node)
    if node.target is aten.slice_scatter.default:
        return _whole(node, node.args[2:])
    return node.target in _ALIASES or (node.target is aten.slice.Tensor and _whole(node, node.args[1:]))


_CONTIGUOUS = (torch.contiguous_format, torch.preserve_format)


def _value(node: object) -> torch.Tensor | None:
    value = node.meta.get("val") if isinstance(node, Node) else None
    return value if isinstance(value, torch.Tensor) else None


def _contiguous(node: Node) -> bool:
    value = _value(node.args[0])
    return value is not None and value.is_contiguous()


def _same_dtype(node: Node) -> bool:
    before, after = _value(node.args[0]), _value(node)
    return before is not None and after is not None and before.dtype == after.dtype and before.device == after.device


def _whole(node: Node, given: tuple[Argument, ...]) -> bool:
    dimension, start, end, step = (*given, *(None,) * 4)[:4]
    return start in (None, 0) and step in (None, 1) and _reaches_end(node, dimension or 0, end)


def _reaches_end(node: Node, dimension: object, end: object) -> bool:
    if end is None or end == _INT64_MAX:
        return True
    value = _value(node.args[0])
    if value is None or not isinstance(end, int) or not isinstance(dimension, int):
        return False
    size = value.shape[dimension]
    return isinstance(size, int) and end >= size
