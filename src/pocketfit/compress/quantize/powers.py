"""A plan whose weights are zero and powers of two."""

from __future__ import annotations

from dataclasses import replace

import torch

from pocketfit.compress.quantize.power_of_two import power_of_two_weight
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.weights import with_weights
from pocketfit.types import LayerPlan, Variant

__all__ = ["to_powers_of_two"]


def to_powers_of_two(variant: Variant) -> Variant:
    """The variant with every integer weight on 0 and ±2^0..2^6 times the scale of its channel.

    A scale that was raised so that the bias fits into INT32 stays raised: that channel rounds as INT8 does.

    Args:
        variant: a model and an INT8 plan for it.
    """
    weights: dict[str, torch.Tensor] = {}
    layers: dict[str, LayerPlan] = dict(variant.plan.layers)
    for name, layer in variant.plan.layers.items():
        if not layer.weight_scales:
            continue
        weight = get_tensor(variant.model.graph, layer.weight).numpy()
        per_tensor = len(set(layer.weight_scales)) == 1 and len(layer.weight_scales) > 1
        # One scale for all is that of a weight with a single channel.
        rounded, scales = power_of_two_weight(weight[None] if per_tensor else weight, 0)
        weights[layer.weight] = torch.from_numpy(rounded.reshape(weight.shape))
        layers[name] = replace(layer, weight_scales=scales * len(layer.weight_scales) if per_tensor else scales)
    model = with_weights(variant.model, weights)
    return Variant(model, replace(variant.plan, model_fingerprint=model.fingerprint, layers=layers))
