"""Weights of a graph by their dotted attribute path."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn
from torch.fx import GraphModule, Node

__all__ = ["constant", "delete_tensor", "free_path", "get_tensor", "set_tensor", "uses"]


def get_tensor(module: nn.Module, path: str) -> torch.Tensor:
    """The parameter, buffer or constant at a dotted path."""
    owner, _, name = path.rpartition(".")
    value = getattr(module.get_submodule(owner), name)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{path} is a {type(value).__name__}, not a tensor")
    return value.detach()


def set_tensor(module: nn.Module, path: str, value: torch.Tensor) -> None:
    """Put a tensor at a dotted path, as a parameter where one is there already or nothing is; sub-modules are made."""
    owner_path, _, name = path.rpartition(".")
    owner = _make_module(module, owner_path)
    if isinstance(getattr(owner, name, None), torch.Tensor) and name not in owner._parameters:
        delattr(owner, name)
        owner.register_buffer(name, value)
    else:
        owner.register_parameter(name, nn.Parameter(value, requires_grad=False))


def delete_tensor(module: nn.Module, path: str) -> None:
    """Remove the tensor at a dotted path."""
    owner, _, name = path.rpartition(".")
    delattr(module.get_submodule(owner), name)


def free_path(module: nn.Module, path: str) -> str:
    """The path itself, or the first of `path_1`, `path_2`, … that nothing has taken."""
    candidate, number = path, 0
    while _taken(module, candidate):
        number += 1
        candidate = f"{path}_{number}"
    return candidate


def uses(module: GraphModule) -> Counter[str]:
    """How many consumers each attribute path has in the graph."""
    count: Counter[str] = Counter()
    for node in module.graph.nodes:
        if node.op == "get_attr":
            count[str(node.target)] += len(node.users)
    return count


def constant(module: GraphModule, node: object) -> torch.Tensor | None:
    """The tensor behind a `get_attr` node; None for anything else."""
    if isinstance(node, Node) and node.op == "get_attr":
        return get_tensor(module, str(node.target))
    return None


def _make_module(module: nn.Module, path: str) -> nn.Module:
    for name in filter(None, path.split(".")):
        child = module._modules.get(name)
        if child is None:
            child = nn.Module()
            module.add_module(name, child)
        module = child
    return module


def _taken(module: nn.Module, path: str) -> bool:
    owner_path, _, name = path.rpartition(".")
    try:
        return hasattr(module.get_submodule(owner_path), name)
    except AttributeError:
        return False
