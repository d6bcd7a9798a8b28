"""What a runtime cannot express of a plan, and the nearest plan that it can.

Known before any work starts, from the plan and the runtime's `RuntimeInfo` alone. A choice gives way to its neighbour:

    16-bit activation          → float; layers that read it become weight-only
    dynamic layer              → static where its input has 8-bit numbers, else weight-only
    op without INT8 arithmetic → half
    weight-only layer          → half
    half layer                 → float32

Nothing is calibrated anew. A bias that was corrected for a layer's integers stays with the layer: correct the biases of
the nearest plan again where the last tenth of a decibel matters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from torch.fx import Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of
from pocketfit.errors import ConversionError
from pocketfit.types import LayerPlan, LoadedModel, Precision, QuantizationPlan, RuntimeInfo, Variant

__all__ = ["expressible", "refuse_inexpressible"]

# So many names are spelled out in a sentence.
NAMED = 4

_Step = tuple[QuantizationPlan, str]


def expressible(
    plan: QuantizationPlan, model: LoadedModel, info: RuntimeInfo
) -> tuple[QuantizationPlan, tuple[str, ...]]:
    """The nearest plan that the runtime can express, and what had to give way.

    Args:
        plan: any plan of the model.
        model: the canonical float model.
        info: what the runtime can do.

    Returns:
        The plan to convert and to simulate for this runtime, and one sentence per substitution; the plan itself and no
        sentence where the runtime expresses all of it.
    """
    said: list[str] = []
    if plan.precision is Precision.INT8:
        for step in (_narrow_activations, _dynamic, _without_int8, _weight_only, _half):
            plan, sentence = step(plan, model, info)
            said += [sentence] if sentence else []
    return plan, tuple(said)


def refuse_inexpressible(variant: Variant, info: RuntimeInfo) -> None:
    """Stop a runtime that is given a plan which `expressible` would change.

    Raises:
        ConversionError: saying what the runtime cannot express.
    """
    _, said = expressible(variant.plan, variant.model, info)
    if said:
        hint = "Convert the plan that pocketfit.compress.quantize.express.expressible returns for this runtime."
        raise ConversionError(info.name, f"cannot express the plan. {' '.join(said)}", hint)


def _narrow_activations(plan: QuantizationPlan, model: LoadedModel, info: RuntimeInfo) -> _Step:
    lost = {name for name, activation in plan.activations.items() if activation.bits not in info.activation_bits}
    if not lost:
        return plan, ""
    kept = {name: activation for name, activation in plan.activations.items() if name not in lost}
    changed = replace(plan, activations=kept)
    readers = _changed(plan, changed, model, Arithmetic.WEIGHT_ONLY)
    sentence = f"{info.title} has no 16-bit activations: {_named(lost, 'tensor')} left in float"
    if readers:
        sentence += f", with integer weights alone in {_named(readers, 'layer')}"
    return changed, f"{sentence}."


def _dynamic(plan: QuantizationPlan, model: LoadedModel, info: RuntimeInfo) -> _Step:
    nodes = _layers(plan, model, Arithmetic.DYNAMIC)
    lost = {node.name for node in nodes if not _has_dynamic(plan.layers[node.name], node, info)}
    if not lost:
        return plan, ""
    changed = _with_layers(plan, lost, lambda layer: replace(layer, dynamic=False))
    static = [node.name for node in nodes if node.name in lost and arithmetic(node, changed) is Arithmetic.INTEGER]
    rest = sorted(lost.difference(static))
    became = [f"{_named(static, 'layer')} static"] if static else []
    became += [f"integer weights alone in {_named(rest, 'layer')}"] if rest else []
    return changed, f"{info.title} cannot quantize these inputs at run time: {', '.join(became)}."


def _has_dynamic(layer: LayerPlan, node: Node, info: RuntimeInfo) -> bool:
    return layer.op in info.dynamic and not (info.dynamic_rows and _rows(node) > 1)


def _rows(node: Node) -> int:
    """How many rows of one sample a linear layer multiplies."""
    shape = input_of(node).meta["val"].shape
    rows = 1
    for size in shape[1:-1]:
        rows *= int(size)
    return rows


def _without_int8(plan: QuantizationPlan, model: LoadedModel, info: RuntimeInfo) -> _Step:
    nodes = (*_layers(plan, model, Arithmetic.INTEGER), *_layers(plan, model, Arithmetic.WIDE))
    lost = {node.name for node in nodes if plan.layers[node.name].op not in info.int8_layers}
    if not lost:
        return plan, ""
    ops = ", ".join(sorted({plan.layers[name].op for name in lost}))
    return _in_half(plan, lost), f"{info.title} has no INT8 {ops}: weights in half for {_named(lost, 'layer')}."


def _weight_only(plan: QuantizationPlan, model: LoadedModel, info: RuntimeInfo) -> _Step:
    lost = {node.name for node in _layers(plan, model, Arithmetic.WEIGHT_ONLY)}
    if info.weight_only or not lost:
        return plan, ""
    sentence = f"{info.title} has no integer weights without INT8 activations: half for {_named(lost, 'layer')}."
    return _in_half(plan, lost), sentence


def _half(plan: QuantizationPlan, model: LoadedModel, info: RuntimeInfo) -> _Step:
    lost = {node.name for node in _layers(plan, model, Arithmetic.HALF)}
    if Precision.FLOAT16 in info.precisions or not lost:
        return plan, ""
    layers = {name: layer for name, layer in plan.layers.items() if name not in lost}
    return replace(plan, layers=layers), f"{info.title} stores no half: float32 for {_named(lost, 'layer')}."


def _in_half(plan: QuantizationPlan, names: Collection[str]) -> QuantizationPlan:
    return _with_layers(plan, names, lambda layer: replace(layer, weight_scales=(), weight_bits=8))


def _with_layers(
    plan: QuantizationPlan, names: Collection[str], change: Callable[[LayerPlan], LayerPlan]
) -> QuantizationPlan:
    layers = {name: change(layer) if name in names else layer for name, layer in plan.layers.items()}
    return replace(plan, layers=layers)


def _layers(plan: QuantizationPlan, model: LoadedModel, kind: Arithmetic) -> tuple[Node, ...]:
    nodes = (node for node in model.graph.graph.nodes if node.name in plan.layers)
    return tuple(node for node in nodes if arithmetic(node, plan) is kind)


def _changed(
    before: QuantizationPlan, after: QuantizationPlan, model: LoadedModel, kind: Arithmetic
) -> tuple[str, ...]:
    old = set(_layers(before, model, kind))
    return tuple(node.name for node in _layers(after, model, kind) if node not in old)


def _named(names: Collection[str], noun: str) -> str:
    """`3 layers (a, b, c)`; the first few by name."""
    ordered = sorted(names)
    listed = ", ".join(ordered[:NAMED]) + (", …" if len(ordered) > NAMED else "")
    return f"{len(ordered)} {noun}{'s' if len(ordered) > 1 else ''} ({listed})"
