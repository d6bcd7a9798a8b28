"""The weights that a mixed INT8 plan has stored narrower than they are computed with, for a runtime's file format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic
from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.lower import STATIC, integer_weight, weight_constants
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LayerPlan, Variant

__all__ = ["StoredWeight", "stored_weights"]


@dataclass(frozen=True)
class StoredWeight:
    """One weight as the plan has it.

    Args:
        kind: how the layers that read it compute.
        restored: float32, as the layers of the lowered graph read it; torch's layout.
        bits: 16 for half, 8 or 4 for integers.
        integers: INT8 values in the same layout; None for half.
        scales: float32, one per output channel, the first axis; empty for half.
    """

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
    """Every weight of an INT8 plan's layers, by the name that `lower` gives its constant."""
    model, plan = variant.model, variant.plan
    nodes = {node.name: node for node in model.graph.graph.nodes}
    return {
        constant: _stored(
            get_tensor(model.graph, plan.layers[name].weight), plan.layers[name], arithmetic(nodes[name], plan)
        )
        for name, constant in weight_constants(model.graph, plan).items()
    }


def _stored(weight: torch.Tensor, layer: LayerPlan, kind: Arithmetic) -> StoredWeight:
    restored = fake_quantize_weight(weight, layer).numpy()
    if kind is Arithmetic.HALF:
        return StoredWeight(kind, restored, 16)
    return StoredWeight(kind, restored, layer.weight_bits, integer_weight(weight, layer).numpy(), layer.weight_scales)
