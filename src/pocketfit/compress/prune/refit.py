"""What is left of each layer, fitted to what the layer gave before: least squares on unlabelled samples.

Both graphs are run side by side. Each layer of the pruned one is given the weight that, on what it reads there, comes
closest to what the same channels gave in the unpruned graph:

    W ← W + cov(R, A) · (cov(A) + λ·mean(diag)·I)⁻¹,  R = Y − (A·Wᵀ + b),

with what a shortcut lacks added to Y, and nothing asked of a value that a ReLU behind the layer cuts off anyway. Layers
before it are fitted already, so that errors are made up for and do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from pocketfit.compress.prune.dependencies import Dependencies, present
from pocketfit.compress.prune.sampled import Sampled, sample
from pocketfit.compress.quantize.bias_correction import following_activation
from pocketfit.compress.quantize.least_squares import damped, missing
from pocketfit.compress.quantize.walk import in_chunks, within_memory
from pocketfit.graph.affine_layer import AffineLayer, affine_layer, parameters, store

__all__ = ["refit"]

# λ; a weight that the samples say nothing about stays as it is.
RIDGE = 0.003
# Share of the positions on which a fit is judged; they come from samples of their own.
HELD_BACK = 1 / 8

Values = list[Any]


def refit(
    found: Dependencies,
    kept: torch.Tensor,
    pruned: GraphModule,
    batches: Sequence[np.ndarray],
    progress: Callable[[int, int], None],
) -> None:
    """Fit the layers of a pruned graph, in place.

    Args:
        found: the channels of the unpruned model.
        kept: the units that the pruned graph has.
        pruned: from `removed`.
        batches: samples, float32, batch first; as many are used as fit into memory.
        progress: told how many of how many nodes are done.
    """
    chunks = within_memory(found.graph, batches)
    with torch.no_grad():
        _SideBySide(found, kept, pruned, chunks).run(progress)
    pruned.recompile()


class _SideBySide:
    def __init__(
        self, found: Dependencies, kept: torch.Tensor, pruned: GraphModule, chunks: Sequence[torch.Tensor]
    ) -> None:
        self.found, self.kept, self.pruned, self.chunks = found, kept, pruned, chunks
        self.expected: dict[str, Values] = {}
        self.given: dict[str, Values] = {}
        self.fitted: set[str] = set()

    def run(self, progress: Callable[[int, int], None]) -> None:
        # A fitted layer may get a bias, which is a new node of the pruned graph: only nodes that both have are walked.
        both = list(zip(self.found.graph.graph.nodes, list(self.pruned.graph.nodes), strict=True))
        last = {source.name: old.name for old, _ in both for source in old.all_input_nodes}
        inputs = iter(in_chunks(self.found.graph, self.chunks))
        for done, (old, new) in enumerate(both, 1):
            if old.op == "placeholder":
                self.expected[old.name] = self.given[new.name] = next(inputs)
            elif old.op == "call_function":
                self._call(old, new)
            for source in old.all_input_nodes:
                if last[source.name] == old.name:
                    self.expected.pop(source.name, None)
                    self.given.pop(source.name, None)
            progress(done, len(both))

    def _call(self, old: Node, new: Node) -> None:
        self.expected[old.name] = _computed(self.found.graph, old, self.expected, len(self.chunks))
        layer = affine_layer(self.pruned, new)
        if layer is not None and layer.axis == 0:
            self._fit(old, layer)
        self.given[new.name] = _computed(self.pruned, new, self.given, len(self.chunks))

    def _fit(self, old: Node, layer: AffineLayer) -> None:
        weight, bias = parameters(self.pruned, layer)
        inputs = self.given[str(layer.node.args[0])]
        taken = sample(layer.node, inputs, self._wanted(old), weight)
        held = int(HELD_BACK * taken.inputs.shape[1])
        groups = len(taken.inputs)
        start = _Numbers(weight.float().reshape(groups, len(weight) // groups, -1), bias.float().reshape(groups, -1))
        activation = following_activation(old)
        count = taken.inputs.shape[1]
        new = _fitted(start, taken.part(slice(0, count - held)), activation)
        judged = taken.part(slice(count - held, None)) if held else taken
        if new.error(judged, activation) < start.error(judged, activation):
            store(self.pruned, layer, new.weight.reshape(weight.shape), new.bias.flatten())

    def _wanted(self, old: Node) -> list[torch.Tensor]:
        """What the unpruned layer gave on the channels that are left, and what the shortcut it is added to lacks."""
        axis = -1 if old.target is torch.ops.aten.linear.default else 1
        index = self._index(old, axis)
        wanted = [value.index_select(axis, index) for value in self.expected[old.name]]
        other = _added_to(old)
        if other is None or other.name not in self.given or other.meta["val"].shape != old.meta["val"].shape:
            return wanted
        before = (value.index_select(axis, index) for value in self.expected[other.name])
        return [value + one - now for value, one, now in zip(wanted, before, self.given[other.name], strict=True)]

    def _index(self, old: Node, axis: int) -> torch.Tensor:
        units = self.found.values[old].movedim(axis, 0)
        return present(units.reshape(len(units), -1)[:, 0], self.kept).nonzero().flatten()


class _Numbers:
    """Weight (groups × channels × values) and bias (groups × channels)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.weight, self.bias = weight, bias

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, self.weight.transpose(1, 2))

    def error(self, sampled: Sampled, activation: Callable[[torch.Tensor], torch.Tensor]) -> float:
        got = activation(self.outputs(sampled.inputs))
        return float((got - activation(sampled.outputs)).square().mean())


def _fitted(start: _Numbers, sampled: Sampled, activation: Callable[[torch.Tensor], torch.Tensor]) -> _Numbers:
    inputs = sampled.inputs
    mean = inputs.mean(1, keepdim=True)
    centred = inputs - mean
    covariance = torch.bmm(centred.transpose(1, 2), centred).double() / inputs.shape[1]
    lacking = missing(sampled.outputs, start.outputs(inputs), activation)
    crossed = torch.bmm(centred.transpose(1, 2), lacking).double() / inputs.shape[1]
    change = torch.cholesky_solve(crossed, torch.linalg.cholesky(damped(covariance, RIDGE))).transpose(1, 2).float()
    shift = lacking.mean(1) - torch.bmm(change, mean.transpose(1, 2)).squeeze(2)
    return _Numbers(start.weight + change, start.bias + shift)


def _added_to(node: Node) -> Node | None:
    """The other summand where a node's result goes into one sum and nowhere else."""
    (reader, *others) = node.users
    if others or reader.target is not torch.ops.aten.add.Tensor or reader.kwargs:
        return None
    return next((source for source in reader.all_input_nodes if source is not node), None)


def _computed(graph: GraphModule, node: Node, values: dict[str, Values], chunks: int) -> Values:
    return [_call(graph, node, values, chunk) for chunk in range(chunks)]


def _call(graph: GraphModule, node: Node, values: dict[str, Values], chunk: int) -> Any:
    def of(source: Node) -> Any:
        if source.op == "get_attr":
            return _tensor(graph, source)
        return values[source.name][chunk]

    arguments, keywords = map_arg((node.args, node.kwargs), of)
    return node.target(*arguments, **keywords)  # type: ignore[operator]


def _tensor(graph: GraphModule, node: Node) -> torch.Tensor:
    from pocketfit.graph.attributes import get_tensor

    return get_tensor(graph, str(node.target))
