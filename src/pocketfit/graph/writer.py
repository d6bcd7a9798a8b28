"""New nodes in the place of one that is to be replaced."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from pocketfit.graph.attributes import free_path, set_tensor

__all__ = ["Writer"]


class Writer:
    """Adds nodes before another one, which lends them its place in the user's model.

    Args:
        module: the graph.
        before: the node that is to be replaced.
    """

    def __init__(self, module: GraphModule, before: Node) -> None:
        self.module = module
        self.before = before

    def __call__(self, target: Any, *args: Any) -> Node:
        """Add a call of an operation; its result is known to later passes by shape and type."""
        with self.module.graph.inserting_before(self.before):
            node = self.module.graph.call_function(target, args)
        values = map_arg(args, lambda source: source.meta["val"])
        node.meta.update(val=target(*values), nn_module_stack=self.before.meta.get("nn_module_stack", {}))
        return node

    def constant(self, name: str, value: torch.Tensor, like: Node) -> Node:
        """Add a weight; `like` is any node of the same type."""
        path = free_path(self.module, name)
        set_tensor(self.module, path, value)
        with self.module.graph.inserting_before(self.before):
            node = self.module.graph.get_attr(path)
        node.meta["val"] = like.meta["val"].new_empty(value.shape)
        return node
