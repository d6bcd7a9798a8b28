"""A training as bytes that another node understands.

Ray's pickler takes nearly everything. Left over are the graphs that `torch.export` makes, whose tracer cannot be made
anew, the ops in them, and classes in files of the user's, which no other node has.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn
from torch.fx.graph import _PyTreeCodeGen, _PyTreeInfo
from torch.fx.node import map_arg
from torch.utils._pytree import treespec_dumps, treespec_loads

from pocketfit.models.identity import users_modules

__all__ = ["pack", "unpack"]


def pack(value: object) -> bytes:
    """Anything that a training is made of; objects that are one before are one afterwards."""
    from ray import cloudpickle as untyped

    cloudpickle: Any = untyped

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
        def reducer_override(self, given: Any) -> Any:
            if isinstance(given, fx.GraphModule):
                return _graph_module, (_owners(given), _steps(given.graph), _ends(given.graph))
            if isinstance(given, torch._ops.OpOverload):
                return _op, (*given._schema.name.split("::"), given._overloadname)
            return super().reducer_override(given)

    content = io.BytesIO()
    with _users_code_included(cloudpickle):
        Pickler(content).dump(value)
    return content.getvalue()


def unpack(content: bytes) -> Any:
    """What `pack` was given. The bytes come from a process of the same training, never from a file."""
    import pickle

    return pickle.loads(content)


@contextmanager
def _users_code_included(cloudpickle: Any) -> Iterator[None]:
    own = [module for module in users_modules() if module.__name__ != "__main__"]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _owners(module: fx.GraphModule) -> nn.Module:
    """A plain module with the tensors and submodules of a graph."""
    owner = nn.Module()
    owner.training = module.training
    _hand_over(module, owner)
    tensors = {name: value for name, value in vars(module).items() if isinstance(value, torch.Tensor)}
    vars(owner).update(tensors)
    return owner


def _hand_over(one: nn.Module, other: nn.Module) -> None:
    for kind in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
        getattr(other, kind).update(getattr(one, kind))


def _steps(graph: fx.Graph) -> list[tuple[Any, ...]]:
    return [
        (node.op, node.name, node.target, *(map_arg(part, _name) for part in (node.args, node.kwargs)), _known(node))
        for node in graph.nodes
    ]


def _ends(graph: fx.Graph) -> tuple[list[str], str, str | None] | None:
    """How arguments and answers of a graph of `torch.export` are nested."""
    code = graph._codegen
    if not isinstance(code, _PyTreeCodeGen):
        return None
    names, given, answered = code.pytree_info
    return names, treespec_dumps(given), None if answered is None else treespec_dumps(answered)


class _Name(str):
    """Of a node, where its value is an argument."""


def _name(node: fx.Node) -> Any:
    return _Name(node.name)


def _known(node: fx.Node) -> dict[str, Any]:
    """Shapes, and the modules that a node is of, which is what a training asks for."""
    found: dict[str, Any] = {}
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor):
        # Without numbers. Only the batch may be of any size; asking a symbol for its number would fix it to that.
        sizes = [1 if isinstance(size, torch.SymInt) else size for size in value.shape]
        found["val"] = torch.empty(sizes, dtype=value.dtype, device="meta")
    if "nn_module_stack" in node.meta:
        found["nn_module_stack"] = {
            key: (path, str(kind)) for key, (path, kind) in node.meta["nn_module_stack"].items()
        }
    return found


def _graph_module(
    owner: nn.Module, steps: list[tuple[Any, ...]], ends: tuple[list[str], str, str | None] | None
) -> fx.GraphModule:
    graph = fx.Graph()
    nodes: dict[str, fx.Node] = {}

    def resolved(part: Any) -> Any:
        return fx.node.map_aggregate(part, lambda one: nodes[one] if isinstance(one, _Name) else one)

    for op, name, target, args, kwargs, known in steps:
        nodes[name] = graph.create_node(op, target, resolved(args), resolved(kwargs), name)
        nodes[name].meta.update(known)
    if ends is not None:
        names, given, answered = ends
        told = None if answered is None else treespec_loads(answered)
        graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(names, treespec_loads(given), told)))
    module = fx.GraphModule(owner, graph)
    _hand_over(owner, module)  # what no node asks for, too
    module.train(owner.training)
    return module


def _op(namespace: str, name: str, overload: str) -> Any:
    return getattr(getattr(getattr(torch.ops, namespace), name), overload)
