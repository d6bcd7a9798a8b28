"""GPTQ with a least-squares target: four-bit weights without gradient descent.

GPTQ rounds the columns of a weight one after the other and lets the columns left make up for the error of each. Here
it does not round the float weight but the one that makes up for what the layers before have lost, and the bias takes
what is left of the mean.

Source: Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers"
(arXiv 2210.17323), eq. 2-3, with section 3.3's blocks and Cholesky factor; columns in the order of their activations,
as its authors' code can. The target is that of `least_squares`.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch.fx import GraphModule

from pocketfit.compress.quantize.fake import weight_limit
from pocketfit.compress.quantize.least_squares import damped, least_squares, shrinkage, target_scales
from pocketfit.compress.quantize.rerounding import Layer, Progress, Rounded, reround
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme, Variant

__all__ = ["gptq", "round_columns"]

# Share of the mean diagonal of the Hessian that is added to it, for as many positions as a window has values. The
# authors' 1% is for far more samples than 100.
DAMPING = 2.5
# Scales tried for each output channel, in units of the one with the smallest error of rounding to nearest.
SCALE_FACTORS = (1.0, 0.7, 0.8, 0.9, 1.1, 1.2)
# Columns rounded before the rest of the weight is brought up to date.
BLOCK = 128


def gptq(
    model: LoadedModel,
    plan: QuantizationPlan,
    samples: list[np.ndarray],
    *,
    scheme: Scheme = Scheme.AFFINE,
    layers: Collection[str] | None = None,
    reference: GraphModule | None = None,
    progress: Progress | None = None,
) -> Variant:
    """Round the layers' weights by GPTQ, with new scales and biases.

    Args:
        model: the canonical model; where its weights are rounded already, `reference` holds the float ones.
        plan: an INT8 plan, with 8 or 4 bits per weight.
        samples: batches of calibration samples, float32 in the model's layout; some 100 samples are enough.
        scheme: in which activations are quantized meanwhile; biases for the other are corrected afterwards.
        layers: names of the layers; None for all that the plan quantizes.
        reference: the float graph; the model's own where None.
        progress: called with (done, total) after each layer.

    Returns:
        The model with weights exactly on the grid of the plan that comes with it.
    """
    return reround(model, plan, samples, _round, scheme=scheme, layers=layers, reference=reference, progress=progress)


def _round(layer: Layer) -> Rounded:
    target = least_squares(layer)
    hessian = damped(target.covariance, shrinkage(DAMPING, layer))
    nearest = target_scales(layer, target)
    bias = target.bias(target.weight)
    tried = [layer.fitting(tuple((nearest * factor).flatten().tolist()), bias) for factor in SCALE_FACTORS]
    # Rows do not depend on each other: those of all scales are rounded in one go.
    scales = torch.cat(tried, 1)
    weight = target.weight.repeat(1, len(tried), 1)
    integers = round_columns(weight, hessian, scales, weight_limit(layer.site.layer))
    change = integers * scales.double().unsqueeze(2) - weight
    errors = (torch.bmm(change, hessian) * change).sum(2)
    kept = _best(errors.view(len(errors), len(tried), -1), layer.per_tensor)
    scales, integers = scales.gather(1, kept), integers.gather(1, kept.unsqueeze(2).expand_as(layer.weight))
    return Rounded(integers, scales, target.bias(integers * scales.unsqueeze(2)))


def _best(errors: torch.Tensor, together: bool) -> torch.Tensor:
    """Which row of all has the smallest error: groups × rows of one scale, from groups × scales × rows."""
    rows = errors.shape[2]
    if together:
        errors = errors.sum((0, 2), keepdim=True).expand_as(errors)
    return errors.argmin(1) * rows + torch.arange(rows)


def round_columns(weight: torch.Tensor, hessian: torch.Tensor, scales: torch.Tensor, limit: int) -> torch.Tensor:
    """GPTQ's rounding, for all rows at once.

    Args:
        weight: float64 groups × rows × columns.
        hessian: float64 groups × columns × columns, symmetric and positive definite; its unit does not matter.
        scales: positive, groups × rows.
        limit: largest integer.

    Returns:
        Whole numbers, float32, of the shape of `weight`.
    """
    order = hessian.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True, stable=True).unsqueeze(1)
    factor = _inverse_factor(hessian, order)
    scales = scales.double()
    # A column is a row in memory: they are taken one at a time.
    left = weight.gather(2, order.expand_as(weight)).transpose(1, 2).contiguous()
    integers = torch.empty_like(left)
    for start in range(0, left.shape[1], BLOCK):
        end = min(start + BLOCK, left.shape[1])
        errors = torch.empty_like(left[:, start:end])
        for column in range(start, end):
            values = left[:, column]
            integers[:, column] = (values / scales).round_().clamp_(-limit, limit)
            error = (values - integers[:, column] * scales) / factor[:, column, column, None]
            left[:, column + 1 : end] -= factor[:, column, column + 1 : end, None] * error.unsqueeze(1)
            errors[:, column - start] = error
        left[:, end:] -= torch.bmm(factor[:, start:end, end:].transpose(1, 2), errors)
    return torch.empty_like(weight).scatter_(2, order.expand_as(weight), integers.transpose(1, 2)).float()


def _inverse_factor(hessian: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The upper Cholesky factor of the inverse, with rows and columns in this order (groups × 1 × columns)."""
    ordered = hessian.gather(1, order.transpose(1, 2).expand_as(hessian)).gather(2, order.expand_as(hessian))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(ordered))
    factor: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor
