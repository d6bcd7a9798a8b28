"""Sequential bias correction, which also measures how well each layer survives.

Quantization shifts the mean of a layer's output. Layer by layer, with everything before it already quantized and
corrected, the shift is measured on the calibration samples and taken out of the bias:

    b ← b + E[y_float − y_int8],   per output channel.

All samples walk through the graph together, float and INT8 side by side, so one sweep suffices for all layers.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", eq. 15 and
section 4.2 (empirical correction).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.fake import fake_quantize_activation, fake_quantize_weight
from pocketfit.compress.quantize.placement import fused_activation
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import channel_sum
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LayerQuality, LoadedModel, QuantizationPlan, Scheme

__all__ = ["Sweep", "correct_biases", "sweep", "with_biases"]

# Two copies of the live activations of all samples are held at once; beyond this, fewer samples are taken.
MEMORY_BYTES = 3 * 2**30
# Values of a layer's output on which the candidates for a correction are compared.
JUDGED_VALUES = 2**23


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    Args:
        biases: corrected bias per layer; empty when nothing was to be corrected.
        quality: one entry per layer, in graph order.
        samples: number of samples that took part.
    """

    biases: dict[str, tuple[float, ...]]
    quality: tuple[LayerQuality, ...]
    samples: int


def correct_biases(
    model: LoadedModel, plan: QuantizationPlan, samples: list[np.ndarray], progress: Callable[[int], None] | None = None
) -> tuple[QuantizationPlan, dict[Scheme, tuple[LayerQuality, ...]]]:
    """Correct the biases for every scheme, unless held-back calibration samples say that it does harm.

    Args:
        model: the canonical float model.
        plan: an INT8 plan without corrected biases.
        samples: batches of calibration samples, float32 in the model's layout; the last quarter is held back.
        progress: called with the number of samples each time a scheme is done.

    Returns:
        The plan with corrected biases and with notes of what was decided; the quality of each layer per scheme.
    """
    held_back = samples[-max(1, len(samples) // 4) :]
    taken = samples[: -len(held_back)] or samples
    with torch.no_grad():
        floats = np.concatenate([model.graph(torch.from_numpy(batch)).numpy() for batch in held_back])
    quality = {}
    notes = list(plan.notes)
    for scheme in Scheme:
        walked = sweep(model.graph, plan, scheme, taken)
        corrected = with_biases(plan, scheme, walked.biases)
        before, after = (_sqnr(floats, simulate(model, one, scheme, held_back)) for one in (plan, corrected))
        if after >= before:
            plan = corrected
            notes.append(f"Bias correction ({scheme}): output SQNR {before:.1f} → {after:.1f} dB on held-back samples.")
        else:
            walked = sweep(model.graph, plan, scheme, taken, correct=False)
            notes.append(f"Bias correction ({scheme}) left out: it would cost {before - after:.1f} dB of output SQNR.")
        quality[scheme] = walked.quality
        if progress is not None:
            progress(sum(map(len, samples)))
    return replace(plan, notes=tuple(notes)), quality


def sweep(
    graph: GraphModule,
    plan: QuantizationPlan,
    scheme: Scheme,
    batches: Iterable[np.ndarray],
    *,
    correct: bool = True,
) -> Sweep:
    """Walk all samples through the float and the INT8 graph side by side.

    Args:
        graph: the canonical float graph.
        plan: an INT8 plan; biases it holds for `scheme` are replaced when `correct`, used otherwise.
        scheme: which lowering of the activations to walk through.
        batches: float32 arrays in the model's layout, batch first.
        correct: whether to correct biases on the way.
    """
    walk = _Walk(graph, plan, scheme, correct)
    chunks = _within_memory(graph, batches)
    with torch.no_grad():
        walk.run(chunks)
    return Sweep(walk.biases, tuple(walk.quality), sum(len(chunk) for chunk in chunks))


def with_biases(plan: QuantizationPlan, scheme: Scheme, biases: dict[str, tuple[float, ...]]) -> QuantizationPlan:
    """The plan with these corrected biases for `scheme`."""
    layers = {
        name: replace(layer, bias={**layer.bias, scheme: biases[name]}) if name in biases else layer
        for name, layer in plan.layers.items()
    }
    return replace(plan, layers=layers)


def _sqnr(floats: np.ndarray, int8: np.ndarray) -> float:
    """Float outputs against INT8 outputs, in decibel."""
    noise = float(np.square(floats - int8, dtype=np.float64).sum())
    return decibel(float(np.square(floats, dtype=np.float64).sum()), noise)


def decibel(signal: float, noise: float) -> float:
    """Ratio of two powers in decibel; infinite without noise."""
    return math.inf if noise == 0 else 10 * math.log10(max(signal, 1e-30) / noise)


Values = list[torch.Tensor]


class _Walk:
    """Both graphs, node by node; every value is a list with one tensor per chunk of samples."""

    def __init__(self, graph: GraphModule, plan: QuantizationPlan, scheme: Scheme, correct: bool) -> None:
        self.graph = graph
        self.plan = plan
        self.scheme = scheme
        self.correct = correct
        self.float: dict[Node, object] = {}
        self.int8: dict[Node, object] = {}
        self.biases: dict[str, tuple[float, ...]] = {}
        self.quality: list[LayerQuality] = []

    def run(self, chunks: Values) -> None:
        last_reader = {source: node for node in self.graph.graph.nodes for source in node.all_input_nodes}
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                self._keep(node, chunks, chunks)
            elif node.op == "get_attr":
                constant = get_tensor(self.graph, str(node.target))
                self._keep(node, [constant] * len(chunks), [constant] * len(chunks))
            elif node.op == "call_function":
                self._keep(node, self._call(node, self.float, len(chunks)), self._call_int8(node, len(chunks)))
            for source in node.all_input_nodes:
                if last_reader[source] is node:
                    del self.float[source], self.int8[source]

    def _keep(self, node: Node, values: object, int8: object) -> None:
        self.float[node] = values
        activation = self.plan.activations.get(node.name)
        if node.name in self.plan.layers:
            int8 = self._corrected(node, values, int8)
        if self.scheme is Scheme.AFFINE and activation is not None:
            int8 = [fake_quantize_activation(value, activation, self.scheme) for value in int8]  # type: ignore[attr-defined]
        self.int8[node] = int8

    def _call(self, node: Node, values: dict[Node, object], chunks: int) -> list[object]:
        return [self._call_chunk(node, values, chunk) for chunk in range(chunks)]

    @staticmethod
    def _call_chunk(node: Node, values: dict[Node, object], chunk: int) -> object:
        arguments, keywords = torch.fx.map_arg(
            (node.args, node.kwargs),
            lambda source: values[source][chunk],  # type: ignore[index]
        )
        return node.target(*arguments, **keywords)  # type: ignore[operator]

    def _call_int8(self, node: Node, chunks: int) -> list[object]:
        layer = self.plan.layers.get(node.name)
        if layer is None:
            return self._call(node, self.int8, chunks)
        source, weight_node = node.args[0], node.args[1]
        assert isinstance(source, Node) and isinstance(weight_node, Node)
        weight = fake_quantize_weight(get_tensor(self.graph, str(weight_node.target)), layer)
        inputs: Values = self.int8[source]  # type: ignore[assignment]
        if self.scheme is Scheme.SYMMETRIC:
            activation = self.plan.activations[source.name]
            inputs = [fake_quantize_activation(value, activation, self.scheme) for value in inputs]
        bias = self._own_bias(node)
        known = layer.bias.get(self.scheme)
        if known is not None and not self.correct:
            bias = torch.tensor(known, dtype=torch.float32)
        return [node.target(value, weight, bias, *node.args[3:]) for value in inputs]  # type: ignore[operator]

    def _corrected(self, node: Node, values: object, int8: object) -> object:
        expected: Values = values  # type: ignore[assignment]
        got: Values = int8  # type: ignore[assignment]
        if self.correct:
            axis = 1 if str(node.target).startswith("aten.conv") else -1
            shift = _best_shift(expected, got, axis, following_activation(node))
            own = self._own_bias(node)
            self.biases[node.name] = tuple((shift if own is None else own + shift).tolist())
            got = [_along(axis, value, shift) + value for value in got]
        self._measure(node, expected, got)
        return got

    def _own_bias(self, node: Node) -> torch.Tensor | None:
        bias = node.args[2] if len(node.args) > 2 else None
        return get_tensor(self.graph, str(bias.target)) if isinstance(bias, Node) else None

    def _measure(self, node: Node, expected: Values, got: Values) -> None:
        layer = self.plan.layers[node.name]
        signal = sum(float(value.double().square().sum()) for value in expected)
        noise = sum(float((one - other).double().square().sum()) for one, other in zip(expected, got, strict=True))
        quality = LayerQuality(name=node.name, op=layer.op, source=layer.source, sqnr_db=decibel(signal, noise))
        self.quality.append(quality)


def following_activation(node: Node) -> Callable[[torch.Tensor], torch.Tensor]:
    """The activation a runtime fuses into the layer, as a function; the identity where there is none."""
    fused = fused_activation(node)
    if fused is None:
        return lambda values: values
    return lambda values: fused.target(values, *fused.args[1:])  # type: ignore[operator]


def _best_shift(
    expected: Values, got: Values, axis: int, activation: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Per channel, the shift that leaves the least squared error after the activation that follows.

    The plain correction is right before the activation; where a ReLU hides most of a channel it can be wrong after it
    (MobileNetV2's last layers lose 2 dB), so it competes with the shift of the means after it, and with none.
    """
    before = _channel_mean(lambda one, other: one - other, expected, got, axis)
    # Which of the three wins is plain from a part of the samples, and judging them costs most of the time.
    chunks = max(1, JUDGED_VALUES // expected[0].numel())
    active, judged = [activation(value) for value in expected[:chunks]], got[:chunks]
    after = _channel_mean(lambda one, other: one - activation(other), active, judged, axis)
    shifts = torch.stack([torch.zeros_like(before), before, after])

    def error(shift: torch.Tensor) -> torch.Tensor:
        def squared(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return (one - activation(other + _along(axis, other, shift))).square_()

        return _channel_mean(squared, active, judged, axis)

    errors = torch.stack([error(shift) for shift in shifts])
    return shifts.gather(0, errors.argmin(0, keepdim=True))[0]


def _along(axis: int, values: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    shape = [1] * values.ndim
    shape[axis] = -1
    return shift.reshape(shape)


def _channel_mean(
    difference: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], expected: Values, got: Values, axis: int
) -> torch.Tensor:
    """Mean of `difference` per channel over all chunks, float32."""
    parts = [channel_sum(difference(one, other), axis) for one, other in zip(expected, got, strict=True)]
    count = sum(value.numel() for value in expected) // len(parts[0])
    return torch.from_numpy(np.sum(parts, axis=0) / count).float()


def _within_memory(graph: GraphModule, batches: Iterable[np.ndarray]) -> Values:
    """As many batches as fit `MEMORY_BYTES`, at least one."""
    chunks: Values = []
    per_sample = 0
    taken = 0
    for batch in batches:
        if not chunks:
            per_sample = 2 * _peak_bytes(graph, torch.from_numpy(batch)) // len(batch)
        elif (taken + len(batch)) * per_sample > MEMORY_BYTES:
            break
        chunks.append(torch.from_numpy(batch))
        taken += len(batch)
    return chunks


def _peak_bytes(graph: GraphModule, batch: torch.Tensor) -> int:
    """Largest sum of live activations while the graph runs on this batch."""
    live: dict[Node, int] = {}
    peak = 0

    class Meter(torch.fx.Interpreter):
        def run_node(self, n: Node) -> object:
            nonlocal peak
            value = super().run_node(n)
            live[n] = value.nbytes if isinstance(value, torch.Tensor) and n.op == "call_function" else 0
            peak = max(peak, sum(live.values()))
            for source in self.user_to_last_uses.get(n, ()):
                live.pop(source, None)
            return value

    with torch.no_grad():
        Meter(graph).run(batch)
    return peak
