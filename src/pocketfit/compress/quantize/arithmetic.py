"""How a plan has a layer computed, read off the plan and the layer's place in the graph."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch.fx import Node

from pocketfit.compress.quantize.placement import fused_activation
from pocketfit.types import ActivationPlan, QuantizationPlan

__all__ = ["Arithmetic", "arithmetic", "channel_axis", "input_of", "written_tensor"]


class Arithmetic(StrEnum):
    """What a layer multiplies.

    INTEGER: 8-bit activations with integer weights. WIDE: restored 16-bit activations with restored weights, in float.
    DYNAMIC: activations quantized to 8 bits with each sample's own range. WEIGHT_ONLY: float activations with restored
    weights. HALF: float activations with weights stored in half. FLOAT: the plan does not have the layer.
    """

    INTEGER = "integer"
    WIDE = "wide"
    DYNAMIC = "dynamic"
    WEIGHT_ONLY = "weight-only"
    HALF = "half"
    FLOAT = "float"


def arithmetic(node: Node, plan: QuantizationPlan) -> Arithmetic:
    """How an INT8 plan has this layer computed.

    Args:
        node: a layer of the canonical graph.
        plan: an INT8 plan.
    """
    layer = plan.layers.get(node.name)
    if layer is None:
        return Arithmetic.FLOAT
    if not layer.weight_scales:
        return Arithmetic.HALF
    if layer.dynamic:
        return Arithmetic.DYNAMIC
    read = plan.activations.get(input_of(node).name)
    if read is None:
        return Arithmetic.WEIGHT_ONLY
    return Arithmetic.INTEGER if read.bits == 8 else Arithmetic.WIDE


def input_of(node: Node) -> Node:
    """The node whose value a layer reads."""
    source = node.args[0]
    assert isinstance(source, Node)
    return source


def channel_axis(layer: Node) -> int:
    """Which axis of a layer's output counts channels; from the front where it is a convolution."""
    return -1 if layer.target is torch.ops.aten.linear.default else 1


def written_tensor(node: Node, plan: QuantizationPlan) -> tuple[str, ActivationPlan] | None:
    """The 8-bit tensor that an integer layer's kernel writes: its own result or that of the activation fused into it.

    Args:
        node: a layer of the canonical graph.
        plan: an INT8 plan.

    Returns:
        Its name and numbers; None where the layer gives float, or is none of `Arithmetic.INTEGER`.
    """
    name = (fused_activation(node) or node).name
    activation = plan.activations.get(name)
    if activation is None or activation.bits != 8 or arithmetic(node, plan) is not Arithmetic.INTEGER:
        return None
    return name, activation
