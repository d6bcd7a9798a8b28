"""A stand-in for faces: ten digits as ten persons, and a small embedding of them, trained in seconds.

No face is in this repository, and none is downloaded. Unlike the users of an app, these persons were seen in training,
in other samples than those that the thresholds come from, so the rates are better than those of strangers would be.
"""

from __future__ import annotations

import torch
from torch import nn

from pocketfit.data.digits import read_digits
from pocketfit.models.zoo.digits_cnn import DigitsCnn, repeatable

PERSONS, LENGTH, EPOCHS, BATCH, SCALE, MARGIN = 10, 32, 15, 64, 16.0, 0.2


def embedder() -> nn.Module:
    """32 numbers for 1x8x8 pixels, by the large margin cosine loss (Wang et al. 2018, "CosFace", equation 4)."""
    digits = read_digits()
    positions = torch.tensor(digits.training)
    inputs, persons = torch.from_numpy(digits.inputs)[positions], torch.from_numpy(digits.labels)[positions]
    with repeatable():
        network = DigitsCnn(classes=LENGTH)
        centres = nn.Parameter(torch.randn(PERSONS, LENGTH))
        optimizer = torch.optim.AdamW([*network.parameters(), centres], lr=3e-3, weight_decay=1e-2)
        network.train()
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(persons)).split(BATCH):
                loss = _loss(network(inputs[batch]), centres, persons[batch])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
    return network.eval().requires_grad_(False)


def _loss(embeddings: torch.Tensor, centres: torch.Tensor, persons: torch.Tensor) -> torch.Tensor:
    cosines = nn.functional.normalize(embeddings) @ nn.functional.normalize(centres).T
    margins = MARGIN * nn.functional.one_hot(persons, PERSONS)
    return nn.functional.cross_entropy(SCALE * (cosines - margins), persons)
