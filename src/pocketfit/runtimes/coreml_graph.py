"""A plan's graph in the form that coremltools takes.

    lower → biases as float constants → weights that are stored narrow behind the op that restores them

coremltools reads the op that restores an integer weight as "store integers, restore them when the model is loaded". It
has no INT32 biases, so these are restored here: the file holds what integer kernels add. For weights stored in half
there is an op of our own, which `register_restore_half` teaches it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.fake import weight_limit
from pocketfit.compress.quantize.lower import Activations, Weights, add_constant, finish, lower
from pocketfit.runtimes.stored_weights import StoredWeight, stored_weights
from pocketfit.types import LayerPlan, Precision, Variant

__all__ = ["coreml_graph", "register_restore_half"]


aten = torch.ops.aten

_POOLINGS = frozenset(
    {aten.avg_pool1d.default, aten.avg_pool2d.default, aten.max_pool1d.default, aten.max_pool2d.default}
)
_BOUNDED = frozenset({aten.clamp.default, aten.hardtanh.default})


@torch.library.custom_op("pocketfit::restore_half", mutates_args=())
def restore_half(stored: torch.Tensor) -> torch.Tensor:
    """A weight stored in half as float32."""
    return stored.float()


@restore_half.register_fake
def _(stored: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(stored, dtype=torch.float32)


def register_restore_half() -> None:
    """Have coremltools store what `restore_half` reads as float16, and restore it when the model is loaded."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import register_torch_op
    from coremltools.converters.mil.mil import Builder

    def translate(context: Any, node: Any) -> None:
        stored = context[node.inputs[0]]
        context.add(Builder.constexpr_cast(source_val=stored.val, output_dtype="fp32", name=node.name))

    translate.__name__ = "pocketfit::restore_half"
    register_torch_op(translate, override=True)


def coreml_graph(variant: Variant, *, half: bool) -> GraphModule:
    """The graph to export.

    Args:
        variant: its plan has neither 16-bit activations nor dynamic layers.
        half: whether the program computes in half, which stores every float constant in half as it is.
    """
    graph = lower(variant.model.graph, variant.plan, Activations.SIGNED, Weights.INTEGER)
    if variant.plan.precision is Precision.INT8:
        _restore_biases(graph)
        for name, weight in stored_weights(variant).items():
            if weight.integers is not None and not weight.is_static:
                _store_integers(graph, name, weight, variant.plan.layers[weight.layer])
            elif weight.integers is None and not half:
                _store_half(graph, name, weight)
        finish(graph)
    _spell_out(graph)
    return graph


def _spell_out(graph: GraphModule) -> None:
    """Write out what coremltools does not fill in: a stride that is the kernel, an epsilon, and bounds as floats."""
    for node in graph.graph.nodes:
        if node.target in _POOLINGS and len(node.args) == 2:
            node.args = (*node.args, node.args[1])
        elif node.target is aten.rms_norm.default and len(node.args) < 4:
            x, sizes, weight = (*node.args, None)[:3]
            node.args = (x, sizes, weight, torch.finfo(torch.float32).eps)
        elif node.target in _BOUNDED:
            node.args = (node.args[0], *(None if bound is None else float(bound) for bound in node.args[1:]))


def _restore_biases(graph: GraphModule) -> None:
    """Biases in float that are INT32 times scale, as integer kernels add them."""
    for node in list(graph.graph.nodes):
        if node.target is _dequantize() and node.args[-1] is torch.int32:
            stored, scales = (getattr(graph, str(argument.target)) for argument in node.args[:2])
            name = f"{node.args[0].target}_restored"
            with graph.graph.inserting_before(node):
                constant = add_constant(graph, name, (stored.double() * scales.double()).float())
            node.replace_all_uses_with(constant)


def _store_integers(graph: GraphModule, name: str, weight: StoredWeight, layer: LayerPlan) -> None:
    limit = weight_limit(layer)
    values = (
        torch.from_numpy(weight.integers),
        torch.tensor(weight.scales, dtype=torch.float32),
        torch.zeros(len(weight.scales), dtype=torch.int8),  # an int64 is cast, which iOS 16 cannot
    )
    for node in _readers(graph, name):
        with graph.graph.inserting_before(node):
            names = (f"{name}_integers", f"{name}_scales", f"{name}_zeros")
            parts = [add_constant(graph, part, value) for part, value in zip(names, values, strict=True)]
            restored = graph.graph.call_function(_dequantize(), (*parts, layer.axis, -limit, limit, torch.int8))
        node.replace_all_uses_with(restored)


def _store_half(graph: GraphModule, name: str, weight: StoredWeight) -> None:
    for node in _readers(graph, name):
        with graph.graph.inserting_before(node):
            stored = add_constant(graph, f"{name}_half", torch.from_numpy(weight.restored).half())
            restored = graph.graph.call_function(torch.ops.pocketfit.restore_half.default, (stored,))
        node.replace_all_uses_with(restored)


def _readers(graph: GraphModule, name: str) -> list[Node]:
    return [node for node in graph.graph.nodes if node.op == "get_attr" and node.target == name]


def _dequantize() -> torch._ops.OpOverload:
    return torch.ops.quantized_decomposed.dequantize_per_channel.default
