"""A small network for the handwritten digits of scikit-learn, trained in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pocketfit.data.digits import read_digits

__all__ = ["DigitsCnn", "repeatable", "trained_digits_cnn"]

EPOCHS = 12
BATCH = 64
PEAK_RATE = 1e-2


class DigitsCnn(nn.Module):
    """In the manner of MobileNetV2, for 1×8×8 inputs in 0..1: about 20,000 parameters.

    It holds what makes quantization hard in its big relatives: depthwise convolutions, batch-norm, clipped activations
    and a residual sum.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, figure 4.
    """

    input_shape = (1, 8, 8)

    def __init__(self, width: int = 24, classes: int = 10) -> None:
        super().__init__()
        self.stem = _convolution(1, width, 3)
        self.blocks = nn.Sequential(
            InvertedResidual(width, width, stride=1),
            InvertedResidual(width, 2 * width, stride=2),
            InvertedResidual(2 * width, 2 * width, stride=1),
        )
        self.classifier = nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits N×10 of images N×1×8×8."""
        features = self.blocks(self.stem(x))
        logits: torch.Tensor = self.classifier(features.mean((2, 3)))
        return logits


class InvertedResidual(nn.Module):
    """Widen, convolve each channel on its own, narrow; added to the input where the shapes allow."""

    def __init__(self, channels: int, out_channels: int, stride: int, expansion: int = 2) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = _convolution(channels, wide, 1)
        self.depthwise = _convolution(wide, wide, 3, stride=stride, groups=wide)
        self.project = nn.Sequential(nn.Conv2d(wide, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.residual = stride == 1 and channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the same size, or of half of it."""
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def trained_digits_cnn(progress: Callable[[int, int], None] | None = None) -> nn.Module:
    """Train on the digits that `pocketfit fit --data digits` never evaluates with.

    The same weights come out every time on the same machine with the same release of torch.

    Args:
        progress: called with (done, total) epochs.

    Returns:
        The network in eval mode.
    """
    digits = read_digits()
    positions = torch.tensor(digits.training)
    inputs, labels = torch.from_numpy(digits.inputs)[positions], torch.from_numpy(digits.labels)[positions]
    with repeatable():
        network = DigitsCnn()
        _train(network, inputs, labels, progress)
    return network.eval().requires_grad_(False)


@contextmanager
def repeatable() -> Iterator[None]:
    """A fixed seed, and one thread: several would add up in another order each time, and gain nothing this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)


def _train(
    network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, progress: Callable[[int, int], None] | None
) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    steps = EPOCHS * len(list(_batches(len(labels))))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    network.train()
    for epoch in range(EPOCHS):
        for batch in _batches(len(labels)):
            loss = nn.functional.cross_entropy(network(inputs[batch]), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress(epoch + 1, EPOCHS)


def _batches(count: int) -> Iterator[torch.Tensor]:
    """Random batches; a remainder smaller than a batch waits for the next epoch."""
    order = torch.randperm(count)
    return (order[start : start + BATCH] for start in range(0, count - BATCH + 1, BATCH))


def _convolution(channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )
