"""Drop nodes and weights that nothing reads."""

from __future__ import annotations

from torch import nn
from torch.fx import GraphModule

from pocketfit.graph.attributes import delete_tensor
from pocketfit.graph.base import Pass

__all__ = ["RemoveDeadCode"]


class RemoveDeadCode(Pass):
    """Remove what has no influence on the output.

    1. Nodes without users.
    2. Parameters and buffers that no node reads, such as the statistics of a folded batch-norm.
    3. Sub-modules left without any tensor.
    """

    name = "remove-dead-code"

    def apply(self, module: GraphModule) -> int:
        """Remove and count nodes and weights."""
        nodes_before = len(module.graph.nodes)
        module.graph.eliminate_dead_code()
        for node in list(module.graph.nodes):
            if node.op == "get_attr" and not node.users:
                module.graph.erase_node(node)
        return nodes_before - len(module.graph.nodes) + _remove_tensors(module)


def _remove_tensors(module: GraphModule) -> int:
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    unread = [path for path in _tensor_paths(module) if path not in read]
    for path in unread:
        delete_tensor(module, path)
    _remove_empty(module)
    return len(unread)


def _tensor_paths(module: nn.Module) -> list[str]:
    parameters = [name for name, _ in module.named_parameters(remove_duplicate=False)]
    return parameters + [name for name, _ in module.named_buffers(remove_duplicate=False)]


def _remove_empty(module: nn.Module) -> None:
    for name, child in list(module._modules.items()):
        if child is None:
            continue
        _remove_empty(child)
        if not (child._modules or child._parameters or child._buffers or _plain_tensors(child)):
            delattr(module, name)


def _plain_tensors(module: nn.Module) -> bool:
    """Constants that torch keeps as plain attributes, such as `lifted_tensor_0`."""
    return any(hasattr(value, "dtype") for value in vars(module).values())
