"""The largest network of a space, of which every other one is a part: its first blocks, channels and the inner kernel.

Batch normalisations go by the batch while the networks share weights, since no statistics fit all of them; a network
that is taken out measures its own.

Source: Cai et al. 2020, section 3.3; the smaller kernel is the middle of the larger one, as in Stamoulis et al.,
"Single-Path NAS", 2019, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pocketfit.nas.architecture import Architecture, Block, Space
from pocketfit.nas.network import ElasticNet, InvertedResidual

__all__ = ["Supernet"]


class Supernet(nn.Module):
    """The shared weights.

    Args:
        space: which networks there are.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        self.net = ElasticNet(space, space.largest())

    def forward(self, x: torch.Tensor, architecture: Architecture) -> torch.Tensor:
        """Logits of one of the networks, with batch normalisations by the batch."""
        x = _layer(self.net.stem, x)
        for shared, wanted in _blocks(self.net, architecture):
            x = _block(shared, wanted, x)
        logits: torch.Tensor = self.net.classifier(x.mean((2, 3)))
        return logits

    @torch.no_grad()
    def taken_out(self, architecture: Architecture, batches: Iterable[np.ndarray]) -> ElasticNet:
        """One of the networks with weights of its own, in eval mode.

        Args:
            architecture: which.
            batches: float32 images that its batch normalisations take their statistics from; a few hundred are enough.
        """
        taken = ElasticNet(self.space, architecture).requires_grad_(False)
        for (shared, _), (own, _) in zip(_blocks(self.net, architecture), _blocks(taken, architecture), strict=True):
            for name in ("expand", "depthwise", "project"):
                _copy(getattr(shared, name), getattr(own, name))
        _copy(self.net.stem, taken.stem)
        taken.classifier.load_state_dict(self.net.classifier.state_dict())
        return _with_statistics(taken, batches)


def _blocks(net: ElasticNet, architecture: Architecture) -> Iterator[tuple[InvertedResidual, Block]]:
    """The first blocks of each stage, as many as are wanted."""
    for stage, wanted in zip(net.stages, architecture.stages, strict=True):
        assert isinstance(stage, nn.ModuleList)
        for shared, block in zip(stage, wanted, strict=False):
            assert isinstance(shared, InvertedResidual)
            yield shared, block


def _block(shared: InvertedResidual, wanted: Block, x: torch.Tensor) -> torch.Tensor:
    wide = x.shape[1] * wanted.expansion
    y = _layer(shared.expand, x, wide)
    y = _layer(shared.depthwise, y, wide, wanted.kernel)
    y = _layer(shared.project, y)
    return x + y if shared.residual else y


def _layer(
    layer: nn.Sequential, x: torch.Tensor, outputs: int | None = None, kernel: int | None = None
) -> torch.Tensor:
    """Convolution, batch normalisation and activation with a part of the weights."""
    convolution, norm, *activation = layer
    assert isinstance(convolution, nn.Conv2d)
    depthwise, side = convolution.groups > 1, kernel or convolution.kernel_size[0]
    shape = (outputs or convolution.out_channels, 1 if depthwise else x.shape[1], side, side)
    weight, scale, shift = _part(layer, shape)
    groups = x.shape[1] if depthwise else 1
    y = F.conv2d(x, weight, stride=convolution.stride, padding=side // 2, groups=groups)
    y = F.batch_norm(y, None, None, scale, shift, training=True, eps=norm.eps)  # type: ignore[arg-type]
    return activation[0](y) if activation else y


def _part(layer: nn.Sequential, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The weight, scale and shift of a part: the first channels and the middle of the kernel."""
    weight, norm = layer[0].weight, layer[1]
    assert isinstance(weight, torch.Tensor) and isinstance(norm, nn.BatchNorm2d)
    cut = (weight.shape[-1] - shape[-1]) // 2
    inner = slice(cut, cut + shape[-1])
    return weight[: shape[0], : shape[1], inner, inner], norm.weight[: shape[0]], norm.bias[: shape[0]]


def _copy(shared: nn.Sequential, own: nn.Sequential) -> None:
    weight, scale, shift = _part(shared, own[0].weight.shape)  # type: ignore[arg-type]
    for target, source in zip((own[0].weight, own[1].weight, own[1].bias), (weight, scale, shift), strict=True):
        target.copy_(source)  # type: ignore[operator]


def _with_statistics(net: ElasticNet, batches: Iterable[np.ndarray]) -> ElasticNet:
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
    net.train()
    for batch in batches:
        net(torch.from_numpy(batch))
    return net.eval()
