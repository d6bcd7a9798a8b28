"""What a layer multiplies and what it is to give, at some positions of its output.

A convolution is a linear layer on windows of its input, so that at sampled positions every layer has the same form:
`expected ≈ inputs · weightᵀ + bias`, once per group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pocketfit.compress.quantize.walk import Site
from pocketfit.graph.windows import windows

__all__ = ["Positions", "grouped", "positions"]

# Values gathered of a layer's input; wide windows get fewer positions.
GATHERED_VALUES = 2**25
# Positions taken at most, where windows are small.
LARGEST_COUNT = 20_000


@dataclass(frozen=True)
class Positions:
    """A layer at sampled positions, in the order of the samples.

    Args:
        inputs: float32 groups × positions × values of a window, ordered as the weight's columns.
        expected: what it is best to give, float32 groups × positions × output channels of the group.
    """

    inputs: torch.Tensor
    expected: torch.Tensor

    def split(self, share: float) -> tuple[Positions, Positions]:
        """The first positions and the last `share` of them, 0..1; all of them twice where there are too few."""
        count = self.inputs.shape[1]
        first = count - int(share * count)
        if first == count:
            return self, self
        return (
            Positions(self.inputs[:, :first], self.expected[:, :first]),
            Positions(self.inputs[:, first:], self.expected[:, first:]),
        )

    def sample(self, count: int, generator: torch.Generator) -> Positions:
        """That many of the positions at random, some of them perhaps twice."""
        chosen = torch.randint(self.inputs.shape[1], (count,), generator=generator)
        return Positions(self.inputs[:, chosen], self.expected[:, chosen])

    def outputs(self, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """What a weight (groups × channels × values) and a bias (groups × channels) make of the inputs."""
        return torch.baddbmm(bias.unsqueeze(1), self.inputs, weight.transpose(1, 2))


def grouped(site: Site, tensor: torch.Tensor) -> torch.Tensor:
    """A weight, or one number per output channel, with the layer's groups first: groups × channels (× values)."""
    shape = (_groups(site), len(tensor) // _groups(site))
    return tensor.reshape(*shape, -1) if tensor.ndim > 1 else tensor.reshape(shape)


def positions(site: Site) -> Positions:
    """Sample positions evenly from all samples, the same ones in every run."""
    outputs = [_channels_last(site, value) for value in site.wanted]
    read = [windows(site.node, value, tuple(site.weight.shape[2:])) for value in site.inputs]
    total = sum(value.shape[:-1].numel() for value in outputs)
    count = min(total, LARGEST_COUNT, max(GATHERED_VALUES // _sizes(site)[0], 1))
    chosen = torch.linspace(0, total - 1, count, dtype=torch.float64).add_(_jitter(count, total)).round_().long()
    window_shape, output_shape = ((_groups(site), size // _groups(site)) for size in _sizes(site))
    inputs, expected = [], []
    start = 0
    for window, output in zip(read, outputs, strict=True):
        end = start + output.shape[:-1].numel()
        index = torch.unravel_index(chosen[(chosen >= start) & (chosen < end)] - start, output.shape[:-1])
        inputs.append(window[index].reshape(-1, *window_shape))
        expected.append(output[index].reshape(-1, *output_shape))
        start = end
    return Positions(torch.cat(inputs).transpose(0, 1).contiguous(), torch.cat(expected).transpose(0, 1).contiguous())


def _jitter(count: int, total: int) -> torch.Tensor:
    """Breaks step between the positions and the rows of an image; the ends stay inside."""
    generator = torch.Generator().manual_seed(0)
    jitter = torch.rand(count, generator=generator, dtype=torch.float64).sub_(0.5).mul_(total / count - 1)
    jitter[0], jitter[-1] = 0, 0
    return jitter


def _groups(site: Site) -> int:
    return int(site.node.args[6]) if len(site.node.args) > 6 else 1  # type: ignore[arg-type]


def _sizes(site: Site) -> tuple[int, int]:
    """Values that a position reads, of all groups, and values that it gives."""
    return _groups(site) * site.weight[0].numel(), len(site.weight)


def _channels_last(site: Site, value: torch.Tensor) -> torch.Tensor:
    return value.movedim(site.channel_axis, -1)
