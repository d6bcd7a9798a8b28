"""Trained numbers read back into a model and a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import input_of
from pocketfit.compress.quantize.qat.lsq import ActivationQuantizer
from pocketfit.compress.quantize.qat.recipe import Trains
from pocketfit.compress.quantize.qat.trainable import Trainable
from pocketfit.compress.quantize.ranges import room_for_bias
from pocketfit.graph.attributes import uses
from pocketfit.models.weights import with_weights
from pocketfit.types import ActivationPlan, LayerPlan, LoadedModel, QuantizationPlan, Scheme, Variant

__all__ = ["deploy"]


def deploy(variant: Variant, scheme: Scheme, trained: Trainable, trains: Trains, note: str = "") -> Variant:
    """The variant with trained numbers.

    The other scheme keeps its activation scales. With trained weights the corrections of biases are contained in the
    trained biases; a layer that has no bias of its own, or shares it, is given the trained one by the plan, in both
    schemes. Where the plan alone was trained, the other scheme keeps its biases, too, and the model is the same.

    Args:
        variant: what the training started from.
        scheme: what was trained.
        trained: from `make_trainable`.
        trains: what was trained.
        note: for the plan, in a plain sentence.
    """
    activations = {
        name: _activation(activation, scheme, trained.activations.get(activation.group or name))
        for name, activation in variant.plan.activations.items()
    }
    notes = (*variant.plan.notes, *filter(None, [note]))
    plan = replace(variant.plan, activations=activations, notes=notes)
    if trains is Trains.PLAN:
        return replace(variant, plan=_with_biases(plan, scheme, trained))
    return _with_weights(variant.model, plan, trained)


def _with_biases(plan: QuantizationPlan, scheme: Scheme, trained: Trainable) -> QuantizationPlan:
    biases = {name: tuple(bias.detach().cpu().tolist()) for name, bias in trained.biases.items()}
    layers = {name: replace(layer, bias={**layer.bias, scheme: biases[name]}) for name, layer in plan.layers.items()}
    return replace(plan, layers=layers)


def _with_weights(model: LoadedModel, plan: QuantizationPlan, trained: Trainable) -> Variant:
    own = _own_biases(model.graph, plan)
    biases = {path: trained.biases[name].detach().cpu().clone() for name, path in own.items()}
    weights = {path: weight.detach().cpu().clone() for path, weight in trained.weights.items()}
    deployed = with_weights(model, weights | biases)
    nodes = {node.name: node for node in model.graph.graph.nodes}
    layers = {
        name: _layer(layer, nodes[name], plan.activations, trained, name in own) for name, layer in plan.layers.items()
    }
    return Variant(deployed, replace(plan, model_fingerprint=deployed.fingerprint, layers=layers))


def _own_biases(graph: GraphModule, plan: QuantizationPlan) -> dict[str, str]:
    """The attribute path of each layer's bias where nothing else reads it."""
    readers = uses(graph)
    layers = [node for node in graph.graph.nodes if node.name in plan.layers]
    paths = {node.name: str(node.args[2].target) for node in layers if isinstance((*node.args, None)[2], Node)}
    return {name: path for name, path in paths.items() if readers[path] == 1}


def _activation(plan: ActivationPlan, scheme: Scheme, trained: ActivationQuantizer | None) -> ActivationPlan:
    if trained is None or not trained.log_ratio.requires_grad:
        return plan
    if scheme is Scheme.SYMMETRIC:
        return replace(plan, symmetric_scale=float(trained.scale().detach()))
    return replace(plan, scale=float(trained.scale().detach()), zero_point=trained.zero_point())


def _layer(
    layer: LayerPlan, node: Node, activations: Mapping[str, ActivationPlan], trained: Trainable, has_own_bias: bool
) -> LayerPlan:
    bias = trained.biases[node.name].detach().cpu()
    scales = layer.weight_scales
    if node.name in trained.weight_scales:
        scales = _with_room(trained.weight_scales[node.name].scales(), bias, activations.get(input_of(node).name))
    kept = {} if has_own_bias else {scheme: tuple(bias.tolist()) for scheme in Scheme}
    return replace(layer, weight_scales=scales, bias=kept)


def _with_room(scales: tuple[float, ...], bias: torch.Tensor, read: ActivationPlan | None) -> tuple[float, ...]:
    """The scales, raised where the trained bias would not fit into INT32; equal ones stay equal."""
    if read is None:
        return scales
    roomy = room_for_bias(scales, bias.numpy(), read.scale)
    return roomy if len(set(scales)) > 1 else (max(roomy),) * len(roomy)
