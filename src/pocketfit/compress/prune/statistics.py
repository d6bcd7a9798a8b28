"""What the second-order method has to know of a model: covariances of inputs, and what an error costs at the output.

The expected Kullback-Leibler divergence between the answers of a model and those of a slightly different one is, in
second order, half the Fisher information times the squared change. Labels drawn from the model's own answers give the
Fisher information without any label: the mean over samples of the squared gradient of their log-likelihood.

Source: Martens 2020, "New insights and perspectives on the natural gradient method", sections 5 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.prune.sampled import sample
from pocketfit.graph.affine_layer import channels_last
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.running import arguments, joined
from pocketfit.graph.watched import Watched

__all__ = ["Reader", "curvatures", "loss_of_own_answers", "readers"]

# Samples whose gradients are taken; the mean of a square settles quickly.
CURVATURE_SAMPLES = 256


@dataclass
class Reader:
    """A layer that reads channels.

    Args:
        node: the layer.
        covariance: of what it multiplies, float32 groups × values × values.
        curvature: by output channel, what a mean squared error of one costs at the model's output.
    """

    node: Node
    covariance: torch.Tensor
    curvature: torch.Tensor


def readers(
    graph: GraphModule, nodes: Sequence[Node], batches: Sequence[np.ndarray], progress: Callable[[int], None]
) -> list[Reader]:
    """Run the model and take down what layers multiply.

    Args:
        graph: in canonical form.
        nodes: layers of the graph.
        batches: samples, float32, batch first.
        progress: told of the samples of each batch.
    """
    found = {node: _Sums() for node in nodes}

    def watch(node: Node, result: Any, inputs: Any) -> None:
        if node in found:
            weight = get_tensor(graph, str(node.args[1].target))  # type: ignore[union-attr]
            found[node].add(sample(node, [inputs], [result], weight, _BATCH_POSITIONS).inputs)

    watcher = Watched(graph, watch)
    with torch.no_grad():
        for batch in batches:
            watcher.run(*arguments(graph, torch.from_numpy(batch)))
            progress(len(batch))
    costs = curvatures(graph, nodes, batches)
    return [Reader(node, found[node].covariance(), costs[node]) for node in nodes]


# Positions of a layer taken of each batch.
_BATCH_POSITIONS = 4_000


class _Sums:
    """First and second moments, batch by batch."""

    def __init__(self) -> None:
        self.count = 0
        self.first: torch.Tensor | float = 0.0
        self.second: torch.Tensor | float = 0.0

    def add(self, inputs: torch.Tensor) -> None:
        """Take in groups × positions × values."""
        self.count += inputs.shape[1]
        self.first = self.first + inputs.sum(1)
        self.second = self.second + torch.bmm(inputs.transpose(1, 2), inputs)

    def covariance(self) -> torch.Tensor:
        """Groups × values × values."""
        mean = torch.as_tensor(self.first) / self.count
        return torch.as_tensor(self.second) / self.count - mean.unsqueeze(2) * mean.unsqueeze(1)


def curvatures(graph: GraphModule, nodes: Sequence[Node], batches: Sequence[np.ndarray]) -> dict[Node, torch.Tensor]:
    """By layer and output channel, the squared gradient summed over positions, mean over samples."""
    sums = dict.fromkeys(nodes, torch.zeros(()))
    done = 0
    generator = torch.Generator().manual_seed(0)
    for batch in _some(batches, CURVATURE_SAMPLES):
        kept: dict[Node, torch.Tensor] = {}

        def watch(node: Node, result: Any, inputs: Any, kept: dict[Node, torch.Tensor] = kept) -> None:
            if node in sums:
                kept[node] = result

        with torch.enable_grad():
            inputs = arguments(graph, torch.from_numpy(batch).requires_grad_())
            output = joined(Watched(graph, watch).run(*inputs))
            loss = loss_of_own_answers(output, generator)
            gradients = torch.autograd.grad(loss, list(kept.values()), allow_unused=True)
        for node, gradient in zip(kept, gradients, strict=True):
            if gradient is not None:
                rows = channels_last(node, gradient)
                sums[node] = sums[node] + rows.square().reshape(-1, rows.shape[-1]).sum(0)
        done += len(batch)
    return {node: _floored(total / done, graph, node) for node, total in sums.items()}


def loss_of_own_answers(output: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Negative log-likelihood of labels drawn from the answers, summed over samples; other outputs by random signs."""
    if output.dim() == 2 and output.shape[1] > 1:
        likely = output.detach().softmax(1)
        drawn = torch.multinomial(likely, 1, generator=generator)
        likelihood: torch.Tensor = output.log_softmax(1).gather(1, drawn).sum()
        return -likelihood
    signs = torch.randint(0, 2, output.shape, generator=generator).mul_(2).sub_(1)
    # Relative to the size of the answers, so that it is of the order of a divergence.
    size = output.detach().square().mean().sqrt().clamp_min(1e-12) * output[0].numel() ** 0.5
    projected: torch.Tensor = (output * signs).sum() / size
    return projected


def _floored(curvature: torch.Tensor, graph: GraphModule, node: Node) -> torch.Tensor:
    """A channel that cost nothing on these samples is not free on all."""
    channels = get_tensor(graph, str(node.args[1].target)).shape[0]  # type: ignore[union-attr]
    curvature = curvature.expand(channels).clone()
    return curvature.clamp_min(float(curvature.mean()) * 0.01 + torch.finfo(torch.float32).tiny)


def _some(batches: Sequence[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Pieces of at most 32, as many samples in all."""
    taken = 0
    for batch in batches:
        for start in range(0, len(batch), 32):
            if taken >= count:
                return
            piece = batch[start : start + 32]
            taken += len(piece)
            yield piece
