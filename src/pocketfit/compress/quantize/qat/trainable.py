"""A float graph and its plan as one graph that trains: float weights, biases and scales are its parameters.

The graph computes in float what the plan says, with the fake quantization of `fake.py` where the plan has a scale, and
`deploy` reads the trained numbers back into a model and a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.arithmetic import input_of
from pocketfit.compress.quantize.fake import fake_quantize_dynamically, weight_limit
from pocketfit.compress.quantize.lower import last_placeholder, plan_bias
from pocketfit.compress.quantize.placement import FIXED_RANGES
from pocketfit.compress.quantize.qat.lsq import ActivationQuantizer, WeightQuantizer, straight_through
from pocketfit.graph.attributes import delete_tensor, get_tensor, set_tensor
from pocketfit.graph.running import plain_copy
from pocketfit.types import ActivationPlan, LayerPlan, QuantizationPlan, Scheme

__all__ = ["Trainable", "make_trainable"]


@dataclass(frozen=True)
class Trainable:
    """The graph, and its parameters by what they are.

    Args:
        graph: takes and returns what the canonical graph does.
        weights: float weights by their attribute path in the canonical graph.
        biases: float biases by the name of the layer.
        activations: quantizers by the name of the scale group.
        weight_scales: quantizers by the name of the layer.
    """

    graph: GraphModule
    weights: Mapping[str, nn.Parameter]
    biases: Mapping[str, nn.Parameter]
    activations: Mapping[str, ActivationQuantizer]
    weight_scales: Mapping[str, WeightQuantizer]

    def scales(self) -> Iterator[nn.Parameter]:
        """What scales and zero points are made of."""
        for quantizer in (*self.activations.values(), *self.weight_scales.values()):
            yield from (parameter for parameter in quantizer.parameters() if parameter.requires_grad)


def make_trainable(
    graph: GraphModule, plan: QuantizationPlan, scheme: Scheme, *, learn_zero_points: bool = False
) -> Trainable:
    """A copy of the canonical graph that computes what the plan says and can be trained.

    Kept as they are: what the plan leaves in float; scales of 16 bits, which both schemes share; the scale of the
    model's input, because pixels have one that loses next to nothing; and ranges that a runtime's specification fixes.

    Args:
        graph: the canonical float graph; left as it is.
        plan: an INT8 plan.
        scheme: how activations are quantized.
        learn_zero_points: whether affine zero points are trained too.
    """
    return _Builder(graph, plan, scheme, learn_zero_points).build()


class _Builder:
    def __init__(self, graph: GraphModule, plan: QuantizationPlan, scheme: Scheme, learn_zero_points: bool) -> None:
        self.module = plain_copy(graph).requires_grad_(False)
        self.plan = plan
        self.scheme = scheme
        self.learn_zero_points = learn_zero_points
        self.nodes: dict[str, Node] = {node.name: node for node in self.module.graph.nodes}
        self.weights: dict[str, nn.Parameter] = {}
        self.biases: dict[str, nn.Parameter] = {}
        self.activations: dict[str, ActivationQuantizer] = {}
        self.weight_scales: dict[str, WeightQuantizer] = {}

    def build(self) -> Trainable:
        for name, layer in self.plan.layers.items():
            self._train_layer(self.nodes[name], layer)
        if self.scheme is Scheme.AFFINE:
            for name in self.plan.activations:
                self._quantize(self.nodes[name], list(self.nodes[name].users))
        else:
            for name, layer in self.plan.layers.items():
                self._quantize_input(self.nodes[name], layer)
        self.module.graph.eliminate_dead_code()
        self.module.recompile()
        return Trainable(self.module, self.weights, self.biases, self.activations, self.weight_scales)

    # layers ------------------------------------------------------------------------------------------------------

    def _train_layer(self, node: Node, layer: LayerPlan) -> None:
        source, weight, rest = node.args[0], node.args[1], node.args[3:]
        assert isinstance(weight, Node)  # a layer's weight is a constant of the graph
        with self.module.graph.inserting_before(node):
            if layer.dynamic:
                source = self.module.graph.call_function(_quantize_dynamically, (source, self.scheme))
            node.args = (source, self._train_weight(node, weight, layer), self._train_bias(node, layer), *rest)

    def _train_weight(self, node: Node, weight: Node, layer: LayerPlan) -> Node:
        if layer.weight not in self.weights:  # a layer that is called twice has one weight and two plans
            self.weights[layer.weight] = _as_parameter(self.module, layer.weight)
        if not layer.weight_scales:
            return self.module.graph.call_function(_round_to_half, (weight,))
        dimensions = self.weights[layer.weight].ndim
        quantizer = WeightQuantizer(layer.weight_scales, layer.axis, dimensions, weight_limit(layer))
        self.weight_scales[node.name] = quantizer
        return self._call(f"_qat_weight_{node.name}", quantizer, weight)

    def _train_bias(self, node: Node, layer: LayerPlan) -> Node:
        bias = plan_bias(self.module, node, layer, self.scheme)
        if bias is None:
            bias = torch.zeros(self.weights[layer.weight].shape[layer.axis])
        self.biases[node.name] = nn.Parameter(bias.clone())
        self.module.register_parameter(f"_qat_bias_{node.name}", self.biases[node.name])
        return self.module.graph.get_attr(f"_qat_bias_{node.name}")

    # activations -------------------------------------------------------------------------------------------------

    def _quantize_input(self, node: Node, layer: LayerPlan) -> None:
        source = input_of(node)
        if source.name in self.plan.activations and layer.weight_scales and not layer.dynamic:
            self._quantize(source, [node])

    def _quantize(self, node: Node, readers: list[Node]) -> None:
        """Put the quantizer of the node's scale group between it and its readers."""
        with self.module.graph.inserting_after(last_placeholder(node)):
            quantized = self._call(*self._quantizer(node), node)
        for reader in readers:
            reader.replace_input_with(node, quantized)

    def _quantizer(self, node: Node) -> tuple[str, ActivationQuantizer]:
        activation = self.plan.activations[node.name]
        group = activation.group or node.name
        if group not in self.activations:
            self.activations[group] = self._new_quantizer(self.nodes[group], activation)
        return f"_qat_activation_{group}", self.activations[group]

    def _new_quantizer(self, node: Node, activation: ActivationPlan) -> ActivationQuantizer:
        if activation.bits == 16:
            return ActivationQuantizer(activation.scale, 0, -32767, 32767, fixed=True)
        if self.scheme is Scheme.SYMMETRIC:
            return ActivationQuantizer(activation.symmetric_scale, 0, -127, 127, fixed=node.op == "placeholder")
        fixed = node.op == "placeholder" or node.target in FIXED_RANGES
        return ActivationQuantizer(
            activation.scale,
            activation.zero_point,
            0,
            255,
            fixed=fixed,
            learn_zero_point=self.learn_zero_points,
        )

    def _call(self, path: str, quantizer: nn.Module, argument: Node) -> Node:
        self.module.add_submodule(path, quantizer)
        return self.module.graph.call_module(path, (argument,))


def _as_parameter(module: GraphModule, path: str) -> nn.Parameter:
    """The weight at that path, which may be a buffer, as a parameter that is trained."""
    value = get_tensor(module, path)
    delete_tensor(module, path)
    set_tensor(module, path, value)
    parameter: nn.Parameter = module.get_parameter(path)
    parameter.requires_grad_()
    return parameter


def _quantize_dynamically(values: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    return straight_through(values, fake_quantize_dynamically(values.detach().float(), scheme))


def _round_to_half(weight: torch.Tensor) -> torch.Tensor:
    return straight_through(weight, weight.half().float())
