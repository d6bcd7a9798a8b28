"""A torch module that computes what an ONNX program does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from pocketfit.errors import ModelError, PocketfitError
from pocketfit.models.onnx_model.fold import outputs_of
from pocketfit.models.onnx_model.names import layer_path, place, weight_path
from pocketfit.models.onnx_model.program import Program
from pocketfit.models.onnx_ops import OPERATORS, operator_on_sizes
from pocketfit.models.onnx_ops.call import Call, Constant, Numbers, OnnxNode, Value
from pocketfit.models.source import channels_first

__all__ = ["OnnxModule"]


class OnnxLayer(nn.Module):
    """One node.

    Args:
        node: of the file.
    """

    def __init__(self, node: OnnxNode) -> None:
        super().__init__()
        self.node = node

    def forward(self, values: Sequence[Value | None], batch: int, written_batch: int | None) -> tuple[Value, ...]:
        """The outputs of the node."""
        function = operator_on_sizes(self.node.op, values) or OPERATORS[self.node.op]
        return outputs_of(function(Call(self.node, values, batch, written_batch)))

    def extra_repr(self) -> str:
        """What it is in the file."""
        return str(self.node)


class OnnxModule(nn.Module):
    """Runs the nodes one after the other; weights are parameters under the names they have in the file.

    Args:
        program: folded.
        examples: inputs, with which the module is run once to see which constants are weights and which are sizes.
        channels_last: of each input, whether the file wants N×H×W×C; the module takes N×C×H×W all the same.

    Raises:
        ModelError: a node cannot be computed, naming it.
    """

    def __init__(self, program: Program, *examples: Tensor, channels_last: Sequence[bool] = ()) -> None:
        super().__init__()
        self.program, self.channels_last = program, tuple(channels_last) or (False,) * len(program.inputs)
        # Of a single one, the graph says `input`, whatever the file calls it.
        self.input_names = [given.name for given in program.inputs] if len(program.inputs) > 1 else ["input"]
        # Set by whoever knows that an output of four axes is an image with its channels behind.
        self.output_channels_last = False
        self.constants = {name: Constant(array) for name, array in program.weights.items()}
        self.places: dict[str, str] = {}
        self.order = [place(self, layer_path(node), OnnxLayer(node)) for node in program.nodes]
        with torch.no_grad():
            self.trace(*examples)
        self._hold_weights()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The output of the program for a batch, or all of several."""
        values = self.trace(*inputs)
        results = tuple(self._result(name, values[name]) for name in self.program.outputs)
        return results if len(results) > 1 else results[0]

    def _result(self, name: str, value: Value) -> Tensor:
        if not isinstance(value, Tensor):
            raise ModelError(
                f"The output {name!r} does not depend on any input. Say which ones count, such as model.onnx#one,two."
            )
        return channels_first(value) if self.output_channels_last else value

    def given(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """What the file is given for these inputs, by its names."""
        turned = zip(self.program.inputs, inputs, self.channels_last, strict=True)
        return {one.name: value.permute(0, 2, 3, 1) if last else value for one, value, last in turned}

    def trace(self, *inputs: Tensor) -> dict[str, Value]:
        """Every value on the way, by its name in the file."""
        batch, written = inputs[0].shape[0], self.program.batch
        values: dict[str, Value] = {**self.given(inputs), **self._constants()}
        for path, node in zip(self.order, self.program.nodes, strict=True):
            read = [values[name] if name else None for name in node.inputs]
            results = _run(self.get_submodule(path), node, read, batch, written)
            values.update((name, value) for name, value in zip(node.outputs, results, strict=False) if name)
        return values

    def _constants(self) -> dict[str, Value]:
        """Weights as the module holds them, because torch.export puts others in their place."""
        held = {name: replace(self.constants[name], weight=self._weight(path)) for name, path in self.places.items()}
        return {**self.constants, **held}

    def _weight(self, path: str) -> Tensor:
        home, _, name = path.rpartition(".")
        weight: Tensor = getattr(self.get_submodule(home), name)
        return weight

    def _hold_weights(self) -> None:
        """Parameters and buffers for the constants that were read as tensors."""
        for name, constant in self.constants.items():
            if constant.is_read:
                path = weight_path(name, next(iter(self.program.readers(name)), None))
                self.places[name] = place(self, path, torch.from_numpy(_writable(constant.array)))


def _run(
    layer: nn.Module, node: OnnxNode, inputs: Sequence[Value | None], batch: int, written: int | None
) -> tuple[Value, ...]:
    try:
        results: tuple[Value, ...] = layer(inputs, batch, written)
        return results
    except PocketfitError:
        raise
    # torch.export asks its own questions with exceptions, and torch names no node: name it in what it says.
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        if type(error).__module__.startswith("torch"):
            raise
        raise ModelError(f"{node} cannot be computed: {type(error).__name__}: {_first_line(error)}. {_GIVE}") from error


_GIVE = "If the model takes other sizes, give --input; otherwise report it together with the model."


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "").rstrip(".")


def _writable(array: Numbers) -> Numbers:
    return np.array(array, order="C")
