"""The plan's weights in the layers of an MNN network: which layer is whose, and the bytes they become.

Weights come through the converter bit by bit, so a layer of the network is told by them which layer of the plan it is.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.fx import Node

from pocketfit.compress.quantize.arithmetic import Arithmetic, arithmetic, input_of, written_tensor
from pocketfit.compress.quantize.fake import fake_quantize_weight
from pocketfit.compress.quantize.lower import integer_weight
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import ActivationPlan, LoadedModel, Precision, QuantizationPlan

__all__ = ["Weight", "Weights", "decoded_integers", "encoded_integers", "int8_bias", "is_wide"]


@dataclass(frozen=True)
class Weight:
    """What an MNN layer stores for a layer of the plan, or for some of its output channels.

    Args:
        layer: its name in the plan.
        restored: float32, as the layer computes with it.
        bits: 16 for half, 8 or 4 for integers.
        integers: int8, output channel first; None for half.
        scales: float32, one per output channel; empty for half.
        read: numbers of its input where the layer computes on integers.
        written: numbers of its result, likewise; both or neither.
    """

    layer: str
    restored: np.ndarray
    bits: int
    integers: np.ndarray | None = None
    scales: np.ndarray | None = None
    read: ActivationPlan | None = None
    written: ActivationPlan | None = None

    @property
    def stored_bits(self) -> int:
        """In the file: MNN multiplies integers of 8 bits alone."""
        return self.bits if self.read is None else 8

    def channels(self, chosen: slice) -> Weight:
        """Some of the output channels."""
        integers = None if self.integers is None else self.integers[chosen]
        scales = None if self.scales is None else self.scales[chosen]
        return Weight(self.layer, self.restored[chosen], self.bits, integers, scales, self.read, self.written)


class Weights:
    """The weights of a plan's layers, found by their restored values."""

    def __init__(self, model: LoadedModel, plan: QuantizationPlan) -> None:
        self._by_content: defaultdict[bytes, list[Weight]] = defaultdict(list)
        self._missing = set(plan.layers)
        for node in model.graph.graph.nodes:
            if node.name in plan.layers:
                weight = _weight(model, plan, node)
                for part in (weight, *_parts(weight, node)):
                    self._by_content[part.restored.tobytes()].append(part)

    def take(self, content: bytes, name: str) -> Weight | None:
        """The weight that has these bytes in float32; None where they are not one of the plan's.

        Args:
            content: of the weight in the network.
            name: of the network's layer, which starts with that of the plan's; it tells layers of equal weights apart.
        """
        found = self._by_content.get(content)
        if not found:
            return None
        own = name.removesuffix("__matmul_converted").partition("__group__")[0]
        weight = next((weight for weight in found if weight.layer == own), found[0])
        self._missing.discard(weight.layer)
        return weight

    def missing(self) -> tuple[str, ...]:
        """Layers that nobody has taken a weight of: the converter changed it, or keeps it apart for several layers."""
        return tuple(sorted(self._missing))

    def widened(self) -> tuple[str, ...]:
        """Layers that compute on integers of 8 bits where the plan says 4."""
        weights = (weight for found in self._by_content.values() for weight in found)
        return tuple(sorted({weight.layer for weight in weights if weight.bits == 4 and weight.stored_bits == 8}))


def _weight(model: LoadedModel, plan: QuantizationPlan, node: Node) -> Weight:
    layer = plan.layers[node.name]
    weight = get_tensor(model.graph, layer.weight)
    restored = fake_quantize_weight(weight, layer).numpy()
    if not layer.weight_scales:
        return Weight(node.name, restored, 16)
    integers = integer_weight(weight, layer).numpy()
    scales = np.asarray(layer.weight_scales, np.float32)
    if plan.precision is not Precision.INT8 or arithmetic(node, plan) is not Arithmetic.INTEGER:
        return Weight(node.name, restored, layer.weight_bits, integers, scales)
    written = written_tensor(node, plan)
    if written is None:
        return Weight(node.name, restored, layer.weight_bits, integers, scales)
    read = plan.activations[input_of(node).name]
    return Weight(node.name, restored, layer.weight_bits, integers, scales, read, written[1])


def _parts(weight: Weight, node: Node) -> Iterator[Weight]:
    """What MNN makes of a grouped convolution: one layer a group, or one a channel of each group's output."""
    groups = node.args[6] if len(node.args) > 6 else 1
    outputs = len(weight.restored)
    if not isinstance(groups, int) or groups in (1, outputs):
        return
    size = outputs // groups
    if weight.restored.shape[1] == 1:
        yield from (weight.channels(slice(first, None, size)) for first in range(size))
    else:
        yield from (weight.channels(slice(first, first + size)) for first in range(0, outputs, size))


def encoded_integers(integers: np.ndarray, bits: int) -> bytes:
    """Integers as MNN stores them: the shape, a table of all values, and where in the table each weight stands.

    Args:
        integers: int8, output channel first.
        bits: 8 or 4.
    """
    outputs = len(integers)
    lowest = -(1 << (bits - 1))
    shape = (outputs, integers.size // outputs)
    header = struct.pack("<BII" if is_wide(integers) else "<BHH", 2, *shape)
    values = np.arange(lowest, -lowest, dtype=np.int8)
    places: np.ndarray = (integers.astype(np.int16) - lowest).astype(np.uint8).ravel()
    if bits == 4:
        pairs = np.append(places, np.zeros(places.size % 2, np.uint8)).reshape(-1, 2)
        places = pairs[:, 0] << 4 | pairs[:, 1]
    return header + bytes([len(values) & 255]) + values.tobytes() + places.tobytes()


def decoded_integers(content: bytes, bits: int, *, wide: bool = False) -> np.ndarray:
    """What `encoded_integers` was given: int8, output channels × weights of one."""
    header = struct.Struct("<BII" if wide else "<BHH")
    _, outputs, size = header.unpack_from(content)
    places: np.ndarray = np.frombuffer(content, np.uint8, offset=header.size + 1 + (1 << bits))
    if bits == 4:
        places = np.stack([places >> 4, places & 15], 1).ravel()
    integers: np.ndarray = (places[: outputs * size].astype(np.int16) - (1 << (bits - 1))).astype(np.int8)
    return integers.reshape(outputs, size)


def int8_bias(bias: np.ndarray, weight: Weight, *, depthwise: bool) -> np.ndarray:
    """The float32 bias of which MNN makes the plan's integers.

    MNN counts a bias, and in depthwise layers the zero point of the result too, in steps of the layer's sums, and cuts
    fractions off where the plan rounds. A tenth of a step keeps the rounded integers from being cut to their
    neighbours.
    """
    assert weight.read is not None and weight.written is not None and weight.scales is not None
    steps = np.float64(np.float32(weight.read.scale)) * weight.scales.astype(np.float64)
    integers = np.round(bias / steps)
    if depthwise:
        zero_point = (weight.written.zero_point - 128) * weight.written.scale / steps
        integers += np.round(zero_point) - np.trunc(zero_point)
    return ((integers + 0.1 * np.sign(integers)) * steps).astype(np.float32)


def is_wide(integers: np.ndarray) -> bool:
    """Whether a side of the matrix needs more than 16 bits to be counted."""
    return max(len(integers), integers.size // len(integers)) > 0xFFFF
