"""TorchScript's instructions, one after the other, on the values that torch.export traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pocketfit.errors import ModelError, PocketfitError
from pocketfit.models.torchscript.operators import call_operator

__all__ = ["Functions", "constants_of", "run"]

# From the qualified name of a function to its graph.
Functions = Callable[[str], Any]
Values = dict[str, Any]


def run(graph: Any, inputs: Sequence[Any], functions: Functions, constants: Mapping[str, Tensor]) -> Any:
    """Run the graph of a method or of a function.

    Args:
        graph: not inlined.
        inputs: of its first block; a method's first one is the module.
        functions: those it may call.
        constants: tensors of its code, by the name of the value, as the module holds them.

    Raises:
        ModelError: an instruction has no counterpart, or cannot be carried out, naming it and its line.
    """
    values = {value.debugName(): given for value, given in zip(graph.inputs(), inputs, strict=True)}
    (result,) = _Run(functions, constants, values).block(graph)
    return result


def constants_of(block: Any) -> Iterator[tuple[str, Tensor]]:
    """Tensors that are written into the code, by the name of the value; single numbers are none."""
    for node in block.nodes():
        if node.kind() == "prim::Constant":
            value = node.output().toIValue() if node.hasAttribute("value") else None
            if isinstance(value, Tensor) and value.dim() > 0:
                yield node.output().debugName(), value
        for inner in node.blocks():
            yield from constants_of(inner)


@dataclass(frozen=True)
class _Run:
    """One run of a graph.

    Args:
        functions: those it may call.
        constants: tensors of the code.
        values: what is known by now, by name.
    """

    functions: Functions
    constants: Mapping[str, Tensor]
    values: Values

    def block(self, block: Any) -> list[Any]:
        """The outputs of a block."""
        for node in block.nodes():
            names = [value.debugName() for value in node.outputs()]
            results = self._named(node)
            if len(names) == 1:
                self.values[names[0]] = results
            elif names:
                self.values.update(zip(names, results, strict=True))
        return [self.values[value.debugName()] for value in block.outputs()]

    def _named(self, node: Any) -> Any:
        try:
            return self._node(node)
        except PocketfitError:
            raise
        # torch.export asks its own questions with exceptions, and torch names no instruction: name it in what it says.
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
            if type(error).__module__.startswith("torch"):
                raise
            first = next(iter(str(error).strip().splitlines()), "").rstrip(".")
            raise ModelError(f"{_where(node)} cannot be computed: {type(error).__name__}: {first}. {_GIVE}") from error

    def _node(self, node: Any) -> Any:
        kind = node.kind()
        if kind == "prim::If":
            return self._if(node)
        if kind == "prim::Loop":
            return self._loop(node)
        if kind == "prim::Constant":
            return self._constant(node)
        inputs = [self.values[value.debugName()] for value in node.inputs()]
        if kind in _INSTRUCTIONS:
            return _INSTRUCTIONS[kind](node, *inputs)
        if kind == "prim::CallFunction":
            return self._function(node, inputs[1:])
        if kind.startswith("aten::"):
            return call_operator(node, inputs)
        raise ModelError(f"{_where(node)} has no counterpart in a graph. {_SIMPLER}")

    def _if(self, node: Any) -> Any:
        condition = self.values[node.input().debugName()]
        if isinstance(condition, Tensor):
            raise ModelError(f"{_where(node)} is a branch that depends on the values of the image. {_SIMPLER}")
        taken, other = node.blocks()
        return _as_outputs(node, self.block(taken if condition else other))

    def _loop(self, node: Any) -> Any:
        limit, going, *carried = (self.values[value.debugName()] for value in node.inputs())
        (body,) = node.blocks()
        names = [value.debugName() for value in body.inputs()]
        turn = 0
        while turn < limit and going:
            self.values.update(zip(names, (turn, *carried), strict=True))
            going, *carried = self.block(body)
            if isinstance(going, Tensor):
                raise ModelError(f"{_where(node)} is a loop that depends on the values of the image. {_SIMPLER}")
            turn += 1
        return _as_outputs(node, carried)

    def _constant(self, node: Any) -> Any:
        name = node.output().debugName()
        if name in self.constants:
            return self.constants[name]
        # A function has a name instead of a value, and None has neither.
        value = node.output().toIValue() if node.hasAttribute("value") else None
        # Traced arithmetic on sizes is written with tensors of one number.
        return value.item() if isinstance(value, Tensor) and value.dim() == 0 else value

    def _function(self, node: Any, inputs: Sequence[Any]) -> Any:
        name = next(iter(node.inputs())).type().annotation_str
        graph = self.functions(name)
        return run(graph, inputs, self.functions, dict(constants_of(graph)))


def _as_outputs(node: Any, results: list[Any]) -> Any:
    return results[0] if len(list(node.outputs())) == 1 else results


def _call_method(node: Any, module: Any, *inputs: Any) -> Any:
    method = node.s("name")
    return module(*inputs) if method == "forward" else module.call(method, inputs)


def _raise(node: Any, message: object, *_: Any) -> Any:
    raise ModelError(f"The model raises an error of its own: {message}. Give the input it was made for as --input.")


def _is_instance(node: Any, value: Any) -> bool:
    kinds = (kind.annotation_str.partition("[")[0] for kind in node.tys("types"))
    return any(isinstance(value, _TYPES[kind]) for kind in kinds)


def _pairs(node: Any, *inputs: Any) -> dict[Any, Any]:
    return dict(zip(inputs[::2], inputs[1::2], strict=True))


def _same(node: Any, value: Any, *_: Any) -> Any:
    return value


_TYPES: Mapping[str, Any] = {
    "Tensor": Tensor,
    "List": list,
    "Tuple": tuple,
    "Dict": dict,
    "int": int | torch.SymInt,
    "float": float | torch.SymFloat,
    "bool": bool,
    "str": str,
    "NoneType": type(None),
}

_INSTRUCTIONS: Mapping[str, Callable[..., Any]] = {
    "prim::GetAttr": lambda node, module: module.attribute(node.s("name")),
    "prim::CallMethod": _call_method,
    "prim::ListConstruct": lambda node, *inputs: list(inputs),
    "prim::TupleConstruct": lambda node, *inputs: inputs,
    "prim::DictConstruct": _pairs,
    "prim::ListUnpack": lambda node, values: _as_outputs(node, list(values)),
    "prim::TupleUnpack": lambda node, values: _as_outputs(node, list(values)),
    "prim::TupleIndex": lambda node, values, index: values[index],
    "prim::isinstance": _is_instance,
    "prim::NumToTensor": _same,
    "prim::unchecked_cast": _same,
    "prim::unchecked_unwrap_optional": _same,
    "prim::data": _same,
    "prim::Uninitialized": lambda node: None,
    "prim::Print": lambda node, *inputs: None,
    "prim::RaiseException": _raise,
    "prim::dtype": lambda node, tensor: tensor.dtype,
    "prim::device": lambda node, tensor: torch.device("cpu"),
    "prim::layout": lambda node, tensor: torch.strided,
    "prim::is_cuda": lambda node, tensor: False,
    "prim::requires_grad": lambda node, tensor: False,
    "prim::min": lambda node, *inputs: min(*inputs),
    "prim::max": lambda node, *inputs: max(*inputs),
    "prim::abs": lambda node, value: abs(value),
}
_SIMPLER = "Trace the model with a fixed input instead of scripting it, or give the PyTorch model itself."
_GIVE = "If the model takes other sizes, give --input; otherwise report it together with the model."


def _where(node: Any) -> str:
    line = node.sourceRange().strip().splitlines()
    place = next((text.strip() for text in line if "File " in text), "")
    return f"{node.kind()} ({place})" if place else node.kind()
