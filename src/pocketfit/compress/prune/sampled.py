"""A layer at some positions of its output, where it is a product of windows and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.fx import Node

from pocketfit.compress.prune.rules.layers import groups_of
from pocketfit.graph.affine_layer import channels_last
from pocketfit.graph.windows import windows

__all__ = ["LARGEST_COUNT", "Sampled", "sample"]

# Values gathered of a layer's input; wide windows get fewer positions.
GATHERED_VALUES = 2**25
# Positions taken at most.
LARGEST_COUNT = 32_000


@dataclass(frozen=True)
class Sampled:
    """What a layer multiplies and what it gives.

    Args:
        inputs: float32 groups × positions × values of a window, ordered as the weight's columns.
        outputs: float32 groups × positions × output channels of the group.
    """

    inputs: torch.Tensor
    outputs: torch.Tensor

    def part(self, positions: slice) -> Sampled:
        """Some of the positions."""
        return Sampled(self.inputs[:, positions], self.outputs[:, positions])


def sample(
    node: Node,
    inputs: Sequence[torch.Tensor],
    outputs: Sequence[torch.Tensor],
    weight: torch.Tensor,
    count: int = LARGEST_COUNT,
) -> Sampled:
    """Take positions at random from all samples, the same ones in every run.

    Args:
        node: a convolution that is not transposed, or a linear layer.
        inputs: what it reads, one tensor per chunk of samples.
        outputs: what it gives, or is to give, likewise.
        weight: the layer's, for its shape.
        count: positions at most.
    """
    groups = groups_of(node)
    rows = [channels_last(node, value) for value in outputs]
    read = [windows(node, value, tuple(weight.shape[2:])) for value in inputs]
    sizes = [row.shape[:-1].numel() for row in rows]
    # Of each chunk its share of what memory has room for.
    total = min(count, max(GATHERED_VALUES // (groups * weight[0].numel()), 1))
    generator = torch.Generator().manual_seed(0)
    gathered_inputs, gathered_outputs = [], []
    for window, row, size in zip(read, rows, sizes, strict=True):
        wanted = min(size, -(-total * size // sum(sizes)))
        chosen = torch.randperm(size, generator=generator)[:wanted].sort().values
        index = torch.unravel_index(chosen, row.shape[:-1])
        gathered_inputs.append(window[index].reshape(wanted, groups, -1))
        gathered_outputs.append(row[index].reshape(wanted, groups, -1))
    return Sampled(
        torch.cat(gathered_inputs).transpose(0, 1).contiguous(),
        torch.cat(gathered_outputs).transpose(0, 1).contiguous(),
    )
