"""ResNet-56 for CIFAR-10 with published weights, and the same after a short training on the JPEG copy of the data.

The published weights were trained on clean images and lose ten points on images that went through JPEG. What pruning
costs is measured against the adapted network: it was trained on what the pruned one is tested on.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.real_data import data_file
from pocketfit.contract import Contract

RESNET_CIFAR_INPUT = Contract(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

_WIDTHS = (16, 32, 64)


def resnet56_cifar() -> nn.Module:
    """Builds ResNet-56 with adapted weights, adapting it first if need be.

    Returns:
        The network in evaluation mode. Input: (N, 3, 32, 32) float, RGB, normalised as ``RESNET_CIFAR_INPUT`` says.
        Output: (N, 10) logits.

    Raises:
        FileNotFoundError: There are no adapted weights yet, and the published ones or the images are missing.
    """
    return _adapted("resnet56_cifar", ResNetCifar(9))


def published() -> nn.Module:
    """Builds ResNet-56 with its published weights."""
    file = data_file("cifar10-resnets/resnet56-4bfd9763.th")
    stored = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    net = ResNetCifar(9)
    net.load_state_dict({key.removeprefix("module."): value for key, value in stored.items()})
    return net


def _adapted(name: str, net: nn.Module) -> nn.Module:
    # Imported late because the training imports the networks of this module.
    from benchmarks.train_small_nets import trained_weights

    net.load_state_dict(torch.load(trained_weights(name), map_location="cpu", weights_only=True))
    return net.eval()


class ResNetCifar(nn.Module):
    """A ResNet (arXiv 1512.03385, section 4.2) whose shortcuts have no parameters (option A).

    Args:
        blocks: In each of the three stages.
    """

    input_shape = (3, 32, 32)
    preprocess = RESNET_CIFAR_INPUT

    def __init__(self, blocks: int) -> None:
        """Builds the network with random weights."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.layer1 = _stage(_WIDTHS[0], _WIDTHS[0], blocks, 1)
        self.layer2 = _stage(_WIDTHS[0], _WIDTHS[1], blocks, 2)
        self.layer3 = _stage(_WIDTHS[1], _WIDTHS[2], blocks, 2)
        self.linear = nn.Linear(_WIDTHS[2], 10)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, 32, 32) images to (N, 10) logits."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(width // 4) if stride > 1 else _identity

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


def _shortcut(zeros: int) -> Callable[[Tensor], Tensor]:
    """Every second pixel, between channels of zeros."""
    return lambda x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, zeros, zeros))


def _identity(x: Tensor) -> Tensor:
    return x


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Block(channels, width, stride)
    return nn.Sequential(first, *(_Block(width, width, 1) for _ in range(blocks - 1)))
