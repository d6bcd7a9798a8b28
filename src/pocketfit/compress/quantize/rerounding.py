"""New weights for a model, layer by layer, each on its plan's grid: the walk that GPTQ and AdaRound share.

Weights end up as exact multiples of their scales, so that rounding to nearest, which every runtime's converter does,
gives the integers that a method chose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.fx import GraphModule

from pocketfit.compress.quantize.bias_correction import following_activation, sweep, with_biases
from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.positions import Positions, grouped, positions
from pocketfit.compress.quantize.ranges import room_for_bias
from pocketfit.compress.quantize.walk import Site, Values, walk
from pocketfit.graph.attributes import get_tensor, uses
from pocketfit.models.weights import with_weights
from pocketfit.types import LayerPlan, LoadedModel, QuantizationPlan, Scheme, Variant

__all__ = ["Layer", "Method", "Progress", "Rounded", "reround"]

Progress = Callable[[int, int], None]

# Share of the positions on which new weights are judged; they come from samples of their own.
HELD_BACK = 1 / 8


@dataclass(frozen=True)
class Layer:
    """A layer to be rounded.

    Args:
        site: the layer and what reaches it.
        weight: its float weight, groups × output channels of the group × values of a window.
        bias: its float bias, groups × output channels of the group; zeros where it has none.
        positions: what it multiplies and is to give.
        per_tensor: whether all channels share one scale.
        input_scale: of the affine input; None where the input is not quantized with a fixed scale.
    """

    site: Site
    weight: torch.Tensor
    bias: torch.Tensor
    positions: Positions
    per_tensor: bool
    input_scale: float | None

    @property
    def activation(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What a runtime fuses into the layer."""
        return following_activation(self.site.node)

    def fitting(self, scales: tuple[float, ...], bias: torch.Tensor) -> torch.Tensor:
        """The scales (groups × channels), raised where the bias would not fit into INT32."""
        if self.input_scale is not None:
            scales = room_for_bias(scales, bias.flatten().numpy(), self.input_scale)
        scales = (max(scales),) * len(scales) if self.per_tensor else scales
        return grouped(self.site, torch.tensor(scales, dtype=torch.float32))


@dataclass(frozen=True)
class Rounded:
    """A layer's numbers, all with the layer's groups first as in `Layer`.

    Args:
        integers: whole numbers, float32.
        scales: float32, one per output channel.
        bias: float32.
    """

    integers: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor

    @property
    def weight(self) -> torch.Tensor:
        """The weight that the integers stand for."""
        return self.integers * self.scales.unsqueeze(-1)


Method = Callable[[Layer], Rounded]


def reround(
    model: LoadedModel,
    plan: QuantizationPlan,
    samples: list[np.ndarray],
    method: Method,
    *,
    scheme: Scheme,
    layers: Collection[str] | None,
    reference: GraphModule | None,
    progress: Progress | None,
) -> Variant:
    """Round the layers anew, one after the other, everything before each of them already quantized.

    A layer keeps what it had where the new numbers do worse on positions held back, and where several nodes read its
    weight. The other scheme gets the same weights, with biases corrected for it.

    Args:
        model: the canonical model; its weights may be rounded already where `reference` is given.
        plan: an INT8 plan.
        samples: batches of calibration samples, float32 in the model's layout.
        method: finds a layer's numbers.
        scheme: in which activations are quantized meanwhile.
        layers: names of the layers; None for all that the plan quantizes.
        reference: the float graph; the model's own where None.
        progress: called with (done, total) after each layer.
    """
    names = _roundable(model.graph, plan, layers)
    visitor = _Rerounder(method, plan, reference or model.graph, names, progress)
    walk(model.graph, plan, scheme, samples, visitor, reference)
    if not visitor.rounded:
        return Variant(model, plan)
    new = with_weights(model, visitor.weights)
    plan = replace(_with_numbers(plan, visitor.rounded, scheme), model_fingerprint=new.fingerprint)
    other = Scheme.SYMMETRIC if scheme is Scheme.AFFINE else Scheme.AFFINE
    swept = sweep(new.graph, plan, other, samples, reference=reference or model.graph)
    return Variant(new, with_biases(plan, other, swept.biases))


class _Rerounder:
    """Visits every layer of a walk and keeps what the method finds for those it is asked to round."""

    def __init__(
        self,
        method: Method,
        plan: QuantizationPlan,
        reference: GraphModule,
        names: frozenset[str],
        progress: Progress | None,
    ) -> None:
        self.method = method
        self.plan = plan
        self.reference = reference
        self.names = names
        self.progress = progress
        self.done = 0
        self.rounded: dict[str, Rounded] = {}
        self.weights: dict[str, torch.Tensor] = {}

    def visit(self, site: Site) -> Values:
        if site.node.name not in self.names:
            return site.outputs(bias=site.planned_bias)
        layer = self._layer(site)
        fitted, judged = layer.positions.split(HELD_BACK)
        rounded = self.method(replace(layer, positions=fitted))
        self._count()
        if _error(replace(layer, positions=judged), rounded) > _error(replace(layer, positions=judged), None):
            return site.outputs(bias=site.planned_bias)
        self.rounded[site.node.name] = rounded
        self.weights[site.layer.weight] = rounded.weight.reshape(site.weight.shape)
        return site.outputs(self.weights[site.layer.weight], rounded.bias.flatten())

    def _layer(self, site: Site) -> Layer:
        weight = get_tensor(self.reference, site.layer.weight)
        bias = torch.zeros(len(weight)) if site.bias is None else site.bias
        read = self.plan.activations.get(str(site.node.args[0]))
        return Layer(
            site=site,
            weight=grouped(site, weight),
            bias=grouped(site, bias),
            positions=positions(site),
            per_tensor=len(weight) > 1 and len(set(site.layer.weight_scales)) == 1,
            input_scale=None if read is None or site.layer.dynamic else read.scale,
        )

    def _count(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, len(self.names))


def _roundable(graph: GraphModule, plan: QuantizationPlan, layers: Collection[str] | None) -> frozenset[str]:
    """Layers with integer weights that nothing else reads, among those asked for."""
    readers = uses(graph)
    return frozenset(
        name
        for name, layer in plan.layers.items()
        if layer.weight_scales and readers[layer.weight] == 1 and (layers is None or name in layers)
    )


def _error(layer: Layer, rounded: Rounded | None) -> float:
    """Mean squared error after the activation that follows: of new numbers, or of those the layer had."""
    if rounded is None:
        site = layer.site
        weight = grouped(site, fake_quantize_weight(site.weight, site.layer))
        bias = layer.bias if site.planned_bias is None else grouped(site, site.planned_bias)
    else:
        weight, bias = rounded.weight, rounded.bias
    got = layer.activation(layer.positions.outputs(weight, bias))
    return float((got - layer.activation(layer.positions.expected)).square().mean())


def _with_numbers(plan: QuantizationPlan, rounded: Mapping[str, Rounded], scheme: Scheme) -> QuantizationPlan:
    layers = {
        name: _with_layer(layer, rounded[name], scheme) if name in rounded else layer
        for name, layer in plan.layers.items()
    }
    return replace(plan, layers=layers)


def _with_layer(layer: LayerPlan, rounded: Rounded, scheme: Scheme) -> LayerPlan:
    bias = {**layer.bias, scheme: tuple(rounded.bias.flatten().tolist())}
    return replace(layer, weight_scales=tuple(rounded.scales.flatten().tolist()), bias=bias)
