"""What the layers of ncnn's benchmark networks ask for, read from their `.param` files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, prod
from typing import Any

from benchmarks.latency.folder import latency_folder
from pocketfit.devices.predict.geometry import MILLION, Convolution, convolution_amounts, linear_amounts

__all__ = ["network_amounts"]

Shape = tuple[int, ...]

# Nothing is computed or copied.
_FREE = frozenset({"Input", "Split", "MemoryData", "Noop", "Flatten", "Reshape"})
_CONVOLUTIONS = frozenset({"Convolution", "ConvolutionDepthWise", "DeconvolutionDepthWise"})
_TRANSCENDENTAL = frozenset({"Swish", "Sigmoid", "GELU", "LayerNorm"})
_ELEMENTWISE = frozenset({"BinaryOp", "Eltwise", "ReLU", "HardSwish", "HardSigmoid"})
# Computed one number after another.
_PLAIN = frozenset({"Softmax", "Reduction", "DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput"})
_SAME_PADDING = (-233, -234)
# Channels that a local response norm takes together, where the file does not say.
_NEIGHBOURS = 5
# Key of the blob shapes that ncnn's own tool wrote into most files; array parameters lie at -23300 minus their number.
_SHAPES = -23330
_ARRAYS = -23300


@dataclass(frozen=True)
class _Layer:
    kind: str
    inputs: tuple[Shape, ...]
    output_names: tuple[str, ...]
    parameters: dict[int, Any]

    def integer(self, key: int, default: int = 0) -> int:
        return int(self.parameters.get(key, default))


@cache
def network_amounts(name: str) -> dict[str, float]:
    """Units of work by kind of a whole network, INT8 or not: the same layers.

    Args:
        name: of a file in `ncnn_models/`, without its suffix.
    """
    total: dict[str, float] = {}
    for layer, outputs in _layers(name):
        for kind, amount in _amounts(layer, outputs).items():
            total[kind] = total.get(kind, 0.0) + amount
    return total


def _layers(name: str) -> Iterator[tuple[_Layer, list[Shape]]]:
    shapes: dict[str, Shape] = {}
    path = latency_folder() / "ncnn_models" / f"{name}.param"
    for line in path.read_text().splitlines()[2:]:
        words = line.split()
        if not words:
            continue
        reads, writes = int(words[2]), int(words[3])
        names, rest = words[4 : 4 + reads + writes], words[4 + reads + writes :]
        parameters = dict(map(_parameter, rest))
        inputs = tuple(shapes[one] for one in names[:reads])
        layer = _Layer(words[0], inputs, tuple(names[reads:]), parameters)
        outputs = _written(parameters, writes) or _inferred(name, layer)
        shapes |= dict(zip(layer.output_names, outputs, strict=True))
        yield layer, outputs


def _parameter(word: str) -> tuple[int, Any]:
    key, _, value = word.partition("=")
    number = int(key)
    if number > _ARRAYS:
        return number, float(value)
    values = [float(one) for one in value.split(",")[1:]]
    return (number if number == _SHAPES else _ARRAYS - number), values


def _written(parameters: dict[int, Any], count: int) -> list[Shape]:
    """The output shapes where the file has them: dimensions, width, height, channels of each."""
    values = [int(one) for one in parameters.get(_SHAPES, [])]
    found = (values[4 * index : 4 * index + 4] for index in range(count if values else 0))
    return [{1: (width,), 2: (height, width), 3: (channels, height, width)}[n] for n, width, height, channels in found]


def _inferred(network: str, layer: _Layer) -> list[Shape]:
    if layer.kind == "Input":
        return [_input_shape(network)]
    if layer.kind == "MemoryData":
        return [tuple(layer.integer(key) for key in (2, 1, 0) if layer.integer(key))]
    if layer.kind == "Slice":
        return _sliced(layer)
    rule = _RULES.get(layer.kind)
    return [rule(layer)] if rule else [layer.inputs[0]] * len(layer.output_names)


def _input_shape(network: str) -> Shape:
    with (latency_folder() / "ncnn_model_inputs.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    return (int(rows[network]["c"]), int(rows[network]["h"]), int(rows[network]["w"]))


def _convolved(layer: _Layer) -> Shape:
    (_, height, width), (kernel_h, kernel_w) = layer.inputs[0], _kernel(layer)
    stride_w, dilation = layer.integer(3, 1), layer.integer(2, 1)
    stride_h = layer.integer(13, stride_w)
    left = layer.integer(4)
    if left in _SAME_PADDING:
        return (layer.integer(0), ceil(height / stride_h), ceil(width / stride_w))
    top, right = layer.integer(14, left), layer.integer(15, left)
    tall = height + top + layer.integer(16, top) - dilation * (kernel_h - 1) - 1
    wide = width + left + right - dilation * (kernel_w - 1) - 1
    return (layer.integer(0), tall // stride_h + 1, wide // stride_w + 1)


def _pooled(layer: _Layer) -> Shape:
    channels, height, width = layer.inputs[0]
    if layer.integer(4):
        return (channels,)
    kernel, stride, left = layer.integer(1), layer.integer(2, 1), layer.integer(3)
    if layer.integer(5) in (2, 3):
        return (channels, ceil(height / stride), ceil(width / stride))
    rounded: Callable[[float], int] = floor if layer.integer(5) == 1 else ceil
    top, right = layer.integer(13, left), layer.integer(14, left)
    tall = height + top + layer.integer(15, top) - layer.integer(11, kernel)
    return (channels, rounded(tall / stride) + 1, rounded((width + left + right - kernel) / stride) + 1)


def _joined(layer: _Layer) -> Shape:
    axis = layer.integer(0) % len(layer.inputs[0])
    size = sum(one[axis] for one in layer.inputs)
    return tuple(size if index == axis else side for index, side in enumerate(layer.inputs[0]))


def _sliced(layer: _Layer) -> list[Shape]:
    """The parts of one axis: as given, what is left shared evenly among those without a size."""
    axis, given = layer.integer(1), layer.parameters[0]
    sizes = [int(one) if one > 0 else 0 for one in given]
    rest = (layer.inputs[0][axis] - sum(sizes)) // max(sizes.count(0), 1)
    shape = layer.inputs[0]
    return [(*shape[:axis], size or rest, *shape[axis + 1 :]) for size in sizes]


def _reshaped(layer: _Layer) -> Shape:
    before = layer.inputs[0]
    sides = [int(layer.parameters[key]) for key in (0, 1, 2) if key in layer.parameters]
    sides = [before[-1 - index] if side == 0 else side for index, side in enumerate(sides)]
    known = -prod(sides)
    return tuple(prod(before) // known if side == -1 else side for side in reversed(sides))


def _cropped(layer: _Layer) -> Shape:
    sides = list(layer.inputs[0])
    starts, ends, axes = (layer.parameters[key] for key in (9, 10, 11))
    for start, end, axis in zip(starts, ends, axes, strict=True):
        sides[int(axis)] = min(int(end), sides[int(axis)]) - int(start)
    return tuple(sides)


def _resized(layer: _Layer) -> Shape:
    channels, height, width = layer.inputs[0]
    if layer.integer(3):
        return (channels, layer.integer(3), layer.integer(4))
    return (channels, int(height * layer.parameters.get(1, 1)), int(width * layer.parameters.get(2, 1)))


def _padded(layer: _Layer) -> Shape:
    channels, height, width = layer.inputs[0]
    grown = layer.integer(7) + layer.integer(8)
    return (channels + grown, height + layer.integer(0) + layer.integer(1), width + layer.integer(2) + layer.integer(3))


def _kernel(layer: _Layer) -> tuple[int, int]:
    return (layer.integer(11, layer.integer(1)), layer.integer(1))


# The few layers in the files without shapes; all others keep the shape of their input.
_RULES: dict[str, Callable[[_Layer], Shape]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolved),
    "Pooling": _pooled,
    "Concat": _joined,
    "Reshape": _reshaped,
    "Flatten": lambda layer: (prod(layer.inputs[0]),),
    "Permute": lambda layer: layer.inputs[0][::-1],
    "InnerProduct": lambda layer: (*layer.inputs[0][:-1][-1:], layer.integer(0)),
    "Gemm": lambda layer: (layer.inputs[0][0], layer.integer(8)),
    "BinaryOp": lambda layer: max(layer.inputs, key=prod),
    "Eltwise": lambda layer: max(layer.inputs, key=prod),
    "Crop": _cropped,
    "Interp": _resized,
    "Padding": _padded,
    "Reduction": lambda layer: layer.inputs[0][:1],
}


def _amounts(layer: _Layer, outputs: list[Shape]) -> dict[str, float]:
    read, written = sum(map(prod, layer.inputs)), sum(map(prod, outputs))
    if layer.kind in _FREE:
        return {}
    if layer.kind in _CONVOLUTIONS:
        return convolution_amounts(_convolution(layer, outputs[0], read + written))
    if layer.kind in ("InnerProduct", "Gemm", "MultiHeadAttention"):
        return _product(layer)
    if layer.kind in _PLAIN:
        return {"calls": 1, "softmax": read / MILLION}
    # Of its inputs it wants the shapes alone.
    if layer.kind == "PriorBox":
        return {"calls": 1, "softmax": written / MILLION}
    # Each number is divided by a power of a sum over its neighbours' channels.
    if layer.kind == "LRN":
        return {"calls": 1, "softmax": read * layer.integer(1, _NEIGHBOURS) / MILLION}
    if layer.kind in _TRANSCENDENTAL:
        return {"calls": 1, "activation": written / MILLION}
    kind = "elementwise" if layer.kind in _ELEMENTWISE else "movement"
    return {"calls": 1, kind: (read + written) / MILLION}


def _convolution(layer: _Layer, output: Shape, traffic: int) -> Convolution:
    return Convolution(
        channels=layer.inputs[0][0],
        filters=layer.integer(0),
        kernel=_kernel(layer),
        # A transposed convolution multiplies once for each place of its input.
        output=layer.inputs[0][1:] if layer.kind.startswith("De") else output[1:],
        stride=layer.integer(3, 1),
        dilation=layer.integer(2, 1),
        groups=layer.integer(7, 1),
        traffic=traffic,
    )


def _product(layer: _Layer) -> dict[str, float]:
    rows = layer.inputs[0][0] if len(layer.inputs[0]) == 2 else 1
    if layer.kind == "MultiHeadAttention":
        width = layer.integer(0)
        macs = 4 * width**2 * rows + 2 * rows**2 * width
        return {"calls": 1, "matrix_product": macs / MILLION}
    weights = layer.integer(2) if layer.kind == "InnerProduct" else layer.integer(8) * layer.integer(9)
    return linear_amounts(rows, weights)
