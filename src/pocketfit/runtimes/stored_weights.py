"""The weights that a mixed INT8 plan has stored narrower than they are computed with, for a runtime's file format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic
from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.lower import STATIC, integer_weight, weight_constants
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LayerPlan, Precision, Variant

__all__ = ["StoredWeight", "stored_weights"]


@dataclass(frozen=True)
class StoredWeight:
    """One weight as the plan has it.

    Args:
        layer: the first layer that reads it.
        kind: how the layers that read it compute.
        restored: float32, as the layers of the lowered graph read it; torch's layout.
        bits: 16 for half, 8 or 4 for integers.
        integers: INT8 values in the same layout; None for half.
        scales: float32, one per output channel, the first axis; empty for half.
    """

    layer: str
    kind: Arithmetic
    restored: np.ndarray
    bits: int
    integers: np.ndarray | None = None
    scales: tuple[float, ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether its layers read static integers, and converters are given the integers themselves."""
        return self.kind in STATIC

    @property
    def is_dynamic(self) -> bool:
        """Whether its layers quantize their input at run time."""
        return self.kind is Arithmetic.DYNAMIC


def stored_weights(variant: Variant) -> dict[str, StoredWeight]:
    """Every weight of the plan's layers, by the name of its constant in the lowered graph."""
    model, plan = variant.model, variant.plan
    nodes = {node.name: node for node in model.graph.graph.nodes}
    int8 = plan.precision is Precision.INT8
    names = weight_constants(model.graph, plan) if int8 else {name: layer.weight for name, layer in plan.layers.items()}
    stored: dict[str, StoredWeight] = {}
    for name, constant in names.items():
        if constant not in stored:
            weight = get_tensor(model.graph, plan.layers[name].weight)
            kind = arithmetic(nodes[name], plan) if int8 else Arithmetic.HALF
            stored[constant] = _stored(name, weight, plan.layers[name], kind)
    return stored


def _stored(name: str, weight: torch.Tensor, layer: LayerPlan, kind: Arithmetic) -> StoredWeight:
    restored = fake_quantize_weight(weight, layer).numpy()
    if kind is Arithmetic.HALF:
        return StoredWeight(name, kind, restored, 16)
    integers = integer_weight(weight, layer).numpy()
    return StoredWeight(name, kind, restored, layer.weight_bits, integers, layer.weight_scales)
