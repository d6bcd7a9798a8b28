"""A stand-in for faces: ten digits as ten persons; an embedding of them and a liveness gate, trained in seconds.

No face is in this repository, and none is downloaded. Unlike the users of an app, these persons were seen in training,
in other samples than those that the thresholds come from, so the rates are better than those of strangers would be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pocketfit.data.digits import read_digits
from pocketfit.models.zoo.digits_cnn import DigitsCnn, repeatable

PERSONS, LENGTH, EPOCHS, BATCH, SCALE, MARGIN = 10, 32, 15, 64, 16.0, 0.2
LIVE = 1


def embedder() -> nn.Module:
    """32 numbers for 1x8x8 pixels, by the large margin cosine loss (Wang et al. 2018, "CosFace", equation 4)."""
    digits = read_digits()
    positions = list(digits.training)
    with repeatable():
        network = DigitsCnn(classes=LENGTH)
        centres = nn.Parameter(torch.randn(PERSONS, LENGTH))

        def loss(inputs: torch.Tensor, persons: torch.Tensor) -> torch.Tensor:
            cosines = nn.functional.normalize(network(inputs)) @ nn.functional.normalize(centres).T
            margins = MARGIN * nn.functional.one_hot(persons, PERSONS)
            return nn.functional.cross_entropy(SCALE * (cosines - margins), persons)

        _train([*network.parameters(), centres], network, loss, digits.inputs[positions], digits.labels[positions])
    return network.eval().requires_grad_(False)


def gate() -> nn.Module:
    """Two logits for 1x8x8 pixels: a copy, and live."""
    inputs, live = with_copies(read_digits().training)
    with repeatable():
        network = DigitsCnn(width=8, classes=2)

        def loss(batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return nn.functional.cross_entropy(network(batch), labels)

        _train(list(network.parameters()), network, loss, inputs, live)
    return network.eval().requires_grad_(False)


def with_copies(positions: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Digits and a copy of each, as a printed photo would be: flatter, brighter, blurred, with noise of its own."""
    real = read_digits().inputs[list(positions)]
    wide = np.pad(real, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    blurred = sum(wide[:, :, 1 + y : 9 + y, 1 + x : 9 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    noise = np.random.default_rng(0).normal(0, 0.06, real.shape)
    copies = np.clip(0.15 + 0.5 * (0.5 * real + 0.5 * blurred) + noise, 0, 1).astype(np.float32)
    return np.concatenate([real, copies]), np.repeat([LIVE, 1 - LIVE], len(real))


def _train(
    parameters: list[nn.Parameter],
    network: nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    inputs: np.ndarray,
    labels: np.ndarray,
) -> None:
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
    samples, targets = torch.from_numpy(inputs), torch.from_numpy(labels)
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(targets)).split(BATCH):
            optimizer.zero_grad()
            torch.autograd.backward(loss(samples[batch], targets[batch]))
            optimizer.step()


if __name__ == "__main__":
    x, y = with_copies(read_digits().held_out)
    np.savez(Path(sys.argv[1]), x=x, y=y)
