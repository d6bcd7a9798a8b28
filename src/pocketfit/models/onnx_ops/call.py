"""One call of an ONNX operator: its attributes, and its inputs as tensors or as plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from pocketfit.errors import ModelError

__all__ = ["Call", "Constant", "Numbers", "OnnxNode", "Operator", "Value"]

# Sizes and what is computed from them: integers, or torch's symbols where the batch is in it. Python computes with
# them while the graph is made, so that none of it is left in the graph.
Numbers = np.ndarray[Any, Any]


@dataclass
class Constant:
    """A weight, or whatever else depends on no input.

    Args:
        array: its values.
        weight: the parameter or buffer that holds it in the module; None before the module has one.
        is_read: whether an operator wanted it as a tensor; sizes and axes never are.
    """

    array: Numbers
    weight: Tensor | None = None
    is_read: bool = False

    def tensor(self) -> Tensor:
        """As a tensor, remembering that it was wanted as one."""
        self.is_read = True
        return torch.from_numpy(self.array.copy()) if self.weight is None else self.weight


Value = Tensor | Constant | Numbers


@dataclass(frozen=True)
class OnnxNode:
    """A node of the file.

    Args:
        op: operator, such as "Conv".
        name: as the file has it; empty where it has none.
        opset: of the operator's domain.
        inputs: names of values; an input left out is "".
        outputs: likewise.
        domain: "" for ONNX's own operators.
        attributes: by name; strings decoded, tensors as arrays.
        scope: dotted path of the module it comes from, where the exporter wrote it down.
    """

    op: str
    name: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""

    def __str__(self) -> str:
        made = next(filter(None, self.outputs), "")
        where = f"node {self.name!r}" if self.name else f"the node that makes {made!r}"
        return f"{self.domain + '.' if self.domain else ''}{self.op} ({where}, opset {self.opset})"


class Call:
    """An operator with its inputs, as the functions of this package take it.

    Args:
        node: what is called.
        values: the inputs; None for those left out.
        batch: of the image that the model is run with.
        written_batch: what the file spells out for it; None where the file takes any.
    """

    def __init__(
        self, node: OnnxNode, values: Sequence[Value | None], batch: int = 1, written_batch: int | None = None
    ) -> None:
        self.node = node
        self.opset = node.opset
        self.values = values
        self.batch = batch
        self.written_batch = written_batch

    def refuse(self, problem: str, help: str) -> NoReturn:
        """Raise the error that names this node."""
        raise ModelError(f"{self.node}: {problem} {help}")

    def has(self, index: int) -> bool:
        """Whether this input is given."""
        return index < len(self.values) and self.values[index] is not None

    def value(self, index: int) -> Value:
        """An input as it is."""
        value = self.values[index] if index < len(self.values) else None
        if value is None:
            self.refuse(f"input {index} is missing.", "The file is damaged: export it again.")
        return value

    def tensor(self, index: int) -> Tensor:
        """An input as a tensor."""
        value = self.value(index)
        if isinstance(value, Constant):
            return value.tensor()
        return value if isinstance(value, Tensor) else as_tensor(value)

    def optional(self, index: int) -> Tensor | None:
        """An input as a tensor; None where it is left out."""
        return self.tensor(index) if self.has(index) else None

    def tensors(self) -> list[Tensor]:
        """All inputs as tensors."""
        return [self.tensor(index) for index in range(len(self.values))]

    def numbers(self, index: int) -> Numbers:
        """An input that has to be known before the image is: sizes, axes, limits."""
        value = self.value(index)
        if isinstance(value, Tensor):
            self.refuse(
                f"input {index} ({self.node.inputs[index]!r}) depends on the values of the image.",
                "A graph for phones has fixed shapes: export the model with this one constant.",
            )
        return value.array if isinstance(value, Constant) else value

    def is_known(self, index: int) -> bool:
        """Whether this input is given and no tensor that depends on the image."""
        return self.has(index) and not isinstance(self.values[index], Tensor)

    def operand(self, index: int) -> Tensor | float:
        """An input for arithmetic: a single number is one, so that it does not become a weight of the model."""
        if self.is_known(index):
            numbers = self.numbers(index)
            if numbers.size == 1:
                number: float = plain(numbers.reshape(-1)[0])
                return number
        return self.tensor(index)

    def integers(self, index: int, attribute: str = "") -> list[int] | None:
        """A list of integers given as an input, or, in older opsets, as an attribute; None where it is not given."""
        if self.has(index):
            return [plain(number) for number in self.numbers(index).reshape(-1)]
        given = self.node.attributes.get(attribute)
        return None if given is None else [int(number) for number in np.atleast_1d(given)]

    def number(self, index: int, attribute: str, default: Any) -> Any:
        """A number given as an input, or, in older opsets, as an attribute."""
        if self.has(index):
            return plain(self.numbers(index).reshape(-1)[0])
        return self.node.attributes.get(attribute, default)

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute."""
        return self.node.attributes.get(attribute, default)

    def wants(self, output: int) -> bool:
        """Whether this output is read by anything."""
        return output < len(self.node.outputs) and self.node.outputs[output] != ""

    def only_first_output(self) -> None:
        """Refuse a call whose further outputs are read."""
        if any(self.wants(index) for index in range(1, len(self.node.outputs))):
            self.refuse("only the first output can be read.", "Cut the model so that nothing reads the others.")


# What an operator becomes: one value, or one for each output.
Operator = Callable[[Call], "Value | tuple[Value, ...] | list[Value]"]


def plain(number: Any) -> Any:
    """A number as Python's own, so that torch takes it; symbols stay symbols."""
    return number.item() if isinstance(number, np.generic) else number


def as_tensor(numbers: Numbers) -> Tensor:
    """Sizes as a tensor; those that depend on the batch stay symbols."""
    if numbers.dtype != object:
        return torch.from_numpy(np.ascontiguousarray(numbers))
    flat = [torch.as_tensor(plain(number)).reshape(1) for number in numbers.reshape(-1)]
    return torch.cat(flat).reshape(numbers.shape)
