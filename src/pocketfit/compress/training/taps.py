"""What layers give while a network runs: by forward hooks, of a module and of a graph alike.

A module's layers are its submodules, by their paths. A graph's are its nodes, by their names or by the path of the
module that they came from, whose answer is its last node's. Behind such a node an empty submodule is put, which a hook
can be hung on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import GraphModule, Node

from pocketfit.graph.running import separated
from pocketfit.types import LoadedModel

__all__ = ["Layer", "layers_of_graph", "layers_of_module", "tap", "watched"]

# A second call of one module is told apart as `block@1`.
_CALL = re.compile(r"@\d+")


@dataclass(frozen=True)
class Layer:
    """A layer that gives features.

    Args:
        name: submodule path, or name of a node.
        shape: of what it gives for one sample: channels, height, width.
    """

    name: str
    shape: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.name} ({'x'.join(map(str, self.shape))})"


def layers_of_module(module: nn.Module, model: LoadedModel) -> tuple[Layer, ...]:
    """Submodules that give N×C×H×W, in the order in which they finish; one that is called twice counts as last called.

    Args:
        module: run once, on zeros, in eval mode; left in the mode it was in.
        model: its canonical form, which says what it takes.
    """
    names = [name for name, _ in module.named_modules() if name]
    training, device = module.training, next((one.device for one in module.parameters()), torch.device("cpu"))
    module.eval()
    with torch.no_grad(), watched(module, names) as found:
        shapes = [given.shape[1:] for given in model.inputs]
        module(*separated(torch.zeros(1, *model.row_shape, device=device), shapes))
    module.train(training)
    return tuple(_layer(name, value.shape) for name, value in found.items() if _gives_features(value))


def layers_of_graph(graph: GraphModule) -> tuple[Layer, ...]:
    """Nodes that give N×C×H×W in order, each by its own name and by those of the modules that end with it."""
    return tuple(_layer(name, node.meta["val"].shape) for name, node in _nodes(graph).items())


def tap(graph: GraphModule, names: Sequence[str]) -> list[str]:
    """Put an empty submodule behind each of these layers, for `watched`.

    Args:
        graph: changed in place; it computes what it did.
        names: of `layers_of_graph`.

    Returns:
        Paths of the new submodules, in the order of the names.
    """
    nodes = _nodes(graph)
    paths = [f"tap_{number}" for number in range(len(names))]
    for path, name in zip(paths, names, strict=True):
        graph.add_submodule(path, nn.Identity())
        with graph.graph.inserting_after(nodes[name]):
            graph.graph.call_module(path, (nodes[name],))
    graph.recompile()
    return paths


@contextmanager
def watched(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """What these submodules gave in their last call, by path; in the order of these calls.

    Args:
        module: runs within the context, any number of times.
        names: of submodules.
    """
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, value: torch.Tensor) -> None:
        found.pop(name, None)
        found[name] = value

    hooks = [
        module.get_submodule(name).register_forward_hook(lambda _, inputs, value, name=name: keep(name, value))
        for name in names
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _nodes(graph: GraphModule) -> dict[str, Node]:
    """Of layers by name; a module's name stands for the last of its nodes."""
    found: dict[str, Node] = {}
    nodes = [node for node in graph.graph.nodes if node.op == "call_function"]
    modules = {path for node in nodes for path in _modules(node)}
    for node in nodes:
        for name in [*({node.name} - modules), *_modules(node)]:
            found.pop(name, None)
            found[name] = node
    return {name: node for name, node in found.items() if _gives_features(node.meta.get("val"))}


def _modules(node: Node) -> list[str]:
    """Paths of the user's modules that a node is part of, the innermost first."""
    stack = node.meta.get("nn_module_stack") or {}
    return [name for path, _ in reversed(stack.values()) if (name := _CALL.sub("", path))]


def _gives_features(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 4 and value.is_floating_point()


def _layer(name: str, shape: Sequence[int]) -> Layer:
    _, channels, height, width = shape
    return Layer(name, (int(channels), int(height), int(width)))
