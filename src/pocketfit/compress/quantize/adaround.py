"""AdaRound: whether each weight goes up or down is learned, layer by layer.

A weight is `s · clip(floor(w / s) + h(v), −n, n)` with a rectified sigmoid h; the v of all weights of a layer are found
by gradient descent on the layer's output after its activation, with everything before it quantized (asymmetric
reconstruction), while a term that sharpens with time drives each h to 0 or 1:

    min ‖f(Wx + b) − f(W~x^ + b~)‖² + λ·Σ(1 − |2h(v) − 1|^β).

It starts from the same least-squares weight as GPTQ. It takes far longer than GPTQ and is meant for few layers.

Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization", eq. 21-25.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial

import numpy as np
import torch
from torch.fx import GraphModule

from pocketfit.compress.quantize.fake import weight_limit
from pocketfit.compress.quantize.least_squares import Target, least_squares, target_scales
from pocketfit.compress.quantize.rerounding import Layer, Progress, Rounded, reround
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme, Variant

__all__ = ["adaround"]

# Zeta and gamma: the sigmoid is stretched to this range and clipped to 0..1, so that it gets to both ends.
UPPER, LOWER = 1.1, -0.1
# λ, and β at the start and at the end.
SHARPNESS = 0.01
FIRST_BETA, LAST_BETA = 20.0, 2.0
# Share of the iterations that look at the output alone.
WARM_UP = 0.2
# Positions of one iteration.
BATCH = 512
LEARNING_RATE = 0.01


def adaround(
    model: LoadedModel,
    plan: QuantizationPlan,
    samples: list[np.ndarray],
    *,
    scheme: Scheme = Scheme.AFFINE,
    layers: Collection[str] | None = None,
    iterations: int = 1000,
    reference: GraphModule | None = None,
    progress: Progress | None = None,
) -> Variant:
    """Learn the rounding of some layers; the others keep what they have.

    Args:
        model: the canonical model; where its weights are rounded already, `reference` holds the float ones.
        plan: an INT8 plan, with 8 or 4 bits per weight.
        samples: batches of calibration samples, float32 in the model's layout.
        scheme: in which activations are quantized meanwhile; biases for the other are corrected afterwards.
        layers: names of the layers, best the few worst ones; None for all that the plan quantizes.
        iterations: per layer, positive; the time grows with them.
        reference: the float graph; the model's own where None.
        progress: called with (done, total) after each layer.

    Returns:
        The model with weights exactly on the grid of the plan that comes with it.
    """
    method = partial(_round, iterations=iterations)
    return reround(model, plan, samples, method, scheme=scheme, layers=layers, reference=reference, progress=progress)


def _round(layer: Layer, iterations: int) -> Rounded:
    target = least_squares(layer)
    scales = target_scales(layer, target)
    limit = weight_limit(layer.site.layer)
    steps = (target.weight / scales.unsqueeze(2)).float().clamp_(-limit, limit)
    with torch.enable_grad():
        up = _learn(layer, target, steps, scales, iterations)
    integers = (steps.floor() + (up >= 0.5)).clamp_(-limit, limit)
    return Rounded(integers, scales, target.bias(integers * scales.unsqueeze(2)))


def _learn(layer: Layer, target: Target, steps: torch.Tensor, scales: torch.Tensor, iterations: int) -> torch.Tensor:
    """How far each weight is to be above its lower integer, 0..1; `steps` is the weight in multiples of the scales."""
    limit = weight_limit(layer.site.layer)
    floor = steps.floor()
    learned = _inverse_sigmoid(steps - floor).requires_grad_()
    optimizer = torch.optim.Adam([learned], LEARNING_RATE)
    generator = torch.Generator().manual_seed(0)
    for iteration in range(iterations):
        up = _rectified_sigmoid(learned)
        weight = (floor + up).clamp(-limit, limit) * scales.unsqueeze(2)
        batch = layer.positions.sample(BATCH, generator)
        difference = layer.activation(batch.outputs(weight, target.bias(weight))) - layer.activation(batch.expected)
        loss = difference.square().sum((0, 2)).mean() + _indecision(up, iteration / iterations)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return _rectified_sigmoid(learned.detach())


def _rectified_sigmoid(values: torch.Tensor) -> torch.Tensor:
    """h of eq. 23."""
    return (values.sigmoid() * (UPPER - LOWER) + LOWER).clamp(0, 1)


def _inverse_sigmoid(up: torch.Tensor) -> torch.Tensor:
    """The values at which the rectified sigmoid is `up`, 0..1."""
    return torch.logit((up - LOWER) / (UPPER - LOWER))


def _indecision(up: torch.Tensor, time: float) -> torch.Tensor | float:
    """What it costs not to be 0 or 1, eq. 24; nothing at first, then β falls along a cosine."""
    if time < WARM_UP:
        return 0.0
    annealed = (1 + math.cos(math.pi * (time - WARM_UP) / (1 - WARM_UP))) / 2
    beta = LAST_BETA + (FIRST_BETA - LAST_BETA) * annealed
    return SHARPNESS * (1 - (2 * up - 1).abs().pow(beta)).sum()
