"""What a pass is and what it promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError
from pocketfit.graph.running import arguments

__all__ = ["Pass", "difference", "outputs", "relative_error"]


class Pass(ABC):
    """One rewrite of a graph.

    Calling a pass applies it and checks its promise: the graph is well formed, its inputs and the number and shape of
    its outputs are the same, and the outputs on an example are the same within `tolerance`.

    Attributes:
        name: how messages call it.
        tolerance: largest change of any output value, as a share of the output's range (largest minus smallest).
    """

    name: ClassVar[str]
    tolerance: ClassVar[float] = 0.0

    @abstractmethod
    def apply(self, module: GraphModule) -> int:
        """Rewrite `module.graph` in place and return the number of changes."""

    def __call__(self, module: GraphModule, example: torch.Tensor) -> int:
        """Apply the pass and check what it promises.

        Args:
            module: the graph, changed in place.
            example: an input of the graph; rows where it has several.

        Returns:
            The number of changes.

        Raises:
            ModelError: the pass broke its promise; the model is not to be used.
        """
        changes, _ = self.checked(module, example, outputs(module, *arguments(module, example)))
        return changes

    def checked(
        self, module: GraphModule, example: torch.Tensor, before: list[torch.Tensor]
    ) -> tuple[int, list[torch.Tensor]]:
        """As calling the pass, for a row of passes: the outputs before it are given, those after it are returned."""
        inputs, changes = _inputs(module), self.apply(module)
        if changes == 0:
            return 0, before
        self._check_structure(module, inputs)
        after = outputs(module, *arguments(module, example))
        self._check_outputs(before, after)
        return changes, after

    def _check_structure(self, module: GraphModule, inputs: tuple[str, ...]) -> None:
        try:
            module.graph.lint()
        except RuntimeError as error:
            raise ModelError(f"The graph pass {self.name} left a malformed graph: {error}. {_REPORT}") from error
        module.recompile()
        if _inputs(module) != inputs:
            raise ModelError(f"The graph pass {self.name} changed the inputs {inputs} to {_inputs(module)}. {_REPORT}")

    def _check_outputs(self, before: list[torch.Tensor], after: list[torch.Tensor]) -> None:
        if [tensor.shape for tensor in before] != [tensor.shape for tensor in after]:
            raise ModelError(f"The graph pass {self.name} changed the shape of an output. {_REPORT}")
        for old, new in zip(before, after, strict=True):
            error = relative_error(old, new)
            if error > self.tolerance:
                raise ModelError(
                    f"The graph pass {self.name} changed an output by {error:.2g} of its range; "
                    f"at most {self.tolerance:.2g} is allowed. {_REPORT}"
                )


_REPORT = "This is a fault of Pocketfit: please report it together with the model."


def relative_error(expected: torch.Tensor, got: torch.Tensor) -> float:
    """Largest absolute difference as a share of the range of `expected`; infinite where only one of them is finite."""
    expected, got = expected.detach().double(), got.detach().double()
    same = (expected == got) | (expected.isnan() & got.isnan())
    if bool(same.all()):
        return 0.0
    difference = float((expected - got)[~same].abs().max())
    spread = float(expected.max() - expected.min())
    # A constant output (one class, or all zeros) has no range to measure by: its own size is the next best.
    scale = spread or float(expected.abs().max()) or 1.0
    share = difference / scale
    return share if share == share else float("inf")


def difference(one: GraphModule, other: GraphModule, rows: torch.Tensor) -> float:
    """How far two graphs' answers are apart: of the worst output, as `relative_error` has it.

    Args:
        one: whose answers are expected.
        other: of the same inputs and outputs.
        rows: a batch, as `running.separated` takes it.
    """
    inputs = arguments(one, rows)
    return max(map(relative_error, outputs(one, *inputs), outputs(other, *inputs)))


def _inputs(module: GraphModule) -> tuple[str, ...]:
    return tuple(node.name for node in module.graph.nodes if node.op == "placeholder")


def outputs(module: nn.Module, *inputs: torch.Tensor) -> list[torch.Tensor]:
    """All tensors that a module returns for its inputs."""
    # Copies go in, because a graph that writes into its input must not change what the next run gets.
    with torch.no_grad():
        leaves = pytree.tree_leaves(module(*(tensor.clone() for tensor in inputs)))
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
