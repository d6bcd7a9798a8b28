"""Standard convolutions as depthwise separable ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.compact.responses import Moments, vectors_of
from pocketfit.compress.compact.slimmed import Rewritten, Slimmed, name_of, positions, rewritable, slimmed
from pocketfit.errors import OptionError
from pocketfit.graph.affine_layer import AffineLayer, affine_layer, geometry, parameters
from pocketfit.graph.running import arguments
from pocketfit.graph.watched import Watched
from pocketfit.graph.writer import Writer
from pocketfit.types import LoadedModel

__all__ = ["separate"]

aten = torch.ops.aten

# A stem that reads three channels has little to gain, and would lose its edge detectors.
FEWEST_CHANNELS = 8
# Of the mean variance, on the diagonal: directions that the samples say nothing about stay small.
RIDGE = 1e-4


def separate(
    model: LoadedModel,
    batches: Sequence[np.ndarray] = (),
    *,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Slimmed:
    """Write convolutions with a kernel as one per channel and a pointwise one behind it.

    Each input channel's kernels, one per output channel, become multiples of the one that explains most of them. With
    samples, the pointwise weights are then fitted by least squares to what the layer gave.

    Args:
        model: in canonical form; it is not changed.
        batches: unlabelled samples, float32 in the model's layout, batch first.
        chosen: told a layer's name as tables have it; whether it is to be written anew.

    Raises:
        OptionError: no layer is left to be written anew.

    Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
        section 3.1, for the form: 1/out + 1/kernel² of the multiply-accumulates. The start is the best approximation
        of rank one of each input channel (Eckart and Young).
    """
    graph = rewritable(model)
    layers = [layer for node in graph.graph.nodes if (layer := _candidate(graph, node)) and chosen(name_of(node))]
    if not layers:
        raise OptionError(
            f"{model.name} has no convolution to separate: those without groups are meant, with a kernel larger than "
            f"1x1 and {FEWEST_CHANNELS} input channels or more."
        )
    starts = {layer.node: _Separated(graph, layer) for layer in layers}
    _fit(graph, starts, batches)
    return slimmed(model, graph, [start.replace(graph) for start in starts.values()])


def _candidate(graph: GraphModule, node: Node) -> AffineLayer | None:
    if node.target is not aten.conv2d.default or geometry(node).groups != 1:
        return None
    shape: torch.Size = node.args[1].meta["val"].shape  # type: ignore[union-attr]
    large = shape[1] >= FEWEST_CHANNELS and max(shape[2:]) > 1
    return affine_layer(graph, node) if large else None


class _Separated:
    """A convolution's depthwise and pointwise weights, and how well they can be fitted."""

    def __init__(self, graph: GraphModule, layer: AffineLayer) -> None:
        self.layer = layer
        weight, self.bias = parameters(graph, layer)
        self.shape = weight.shape
        outputs, inputs, *kernel = weight.shape
        left, sizes, right = torch.linalg.svd(weight.transpose(0, 1).flatten(2), full_matrices=False)
        self.depthwise = right[:, 0].reshape(inputs, 1, *kernel).float()
        self.pointwise = (left[:, :, 0] * sizes[:, :1]).T
        energy = sizes.square()
        self.lost = 1 - float(energy[:, 0].sum() / energy.sum().clamp_min(1e-30))
        self.moments = Moments.none(inputs + outputs)

    def see(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Take in what the layer read and gave."""
        slides = geometry(self.layer.node)
        z = torch.conv2d(x, self.depthwise, None, slides.stride, slides.padding, slides.dilation, len(self.depthwise))
        node = self.layer.node
        self.moments.add(torch.cat([vectors_of(node, z), vectors_of(node, y)], 1))

    def fit(self) -> None:
        """Least squares from the depthwise results to the layer's, mean and all."""
        inputs = len(self.depthwise)
        covariance, mean = self.moments.covariance, self.moments.mean
        within, across = covariance[:inputs, :inputs], covariance[inputs:, :inputs]
        ridge = RIDGE * within.diagonal().mean() * torch.eye(inputs, dtype=torch.float64)
        self.pointwise = torch.linalg.solve(within + ridge, across.T).T
        self.bias = mean[inputs:] - self.pointwise @ mean[:inputs]
        explained = (self.pointwise @ within * self.pointwise).sum() - 2 * (self.pointwise * across).sum()
        total = covariance[inputs:, inputs:].diagonal().sum()
        self.lost = float((1 + explained / total.clamp_min(1e-30)).clamp(0, 1))

    def replace(self, graph: GraphModule) -> Rewritten:
        """Put the two in the place of the one."""
        node, slides = self.layer.node, geometry(self.layer.node)
        write, name, like = Writer(graph, node), str(self.layer.weight.target), self.layer.weight
        source: Any = node.args[0]
        depthwise = write.constant(f"{name}_depthwise", self.depthwise.contiguous(), like)
        pointwise = write.constant(f"{name}_pointwise", self.pointwise.float()[..., None, None].contiguous(), like)
        offset = write.constant(f"{name}_offset", self.bias.float(), like)
        groups = len(self.depthwise)
        sliding = ([*slides.stride], [*slides.padding], [*slides.dilation], groups)
        between = write(aten.conv2d.default, source, depthwise, None, *sliding)
        result = write(aten.conv2d.default, between, pointwise, offset)
        rewritten = self._rewritten()
        node.replace_all_uses_with(result)
        graph.graph.erase_node(node)
        return rewritten

    def _rewritten(self) -> Rewritten:
        before, after = self.shape.numel(), self.depthwise.numel() + self.pointwise.numel()
        places = positions(self.layer.node)
        return Rewritten(name_of(self.layer.node), (before, after), (places * before, places * after), self.lost)


def _fit(graph: GraphModule, starts: dict[Node, _Separated], batches: Iterable[np.ndarray]) -> None:
    def watch(node: Node, result: Any, read: Any) -> None:
        if node in starts:
            starts[node].see(read, result)

    watched = Watched(graph, watch)
    with torch.no_grad():
        for batch in batches:
            watched.run(*arguments(graph, torch.from_numpy(batch)))
    for start in starts.values():
        if start.moments.count:
            start.fit()
