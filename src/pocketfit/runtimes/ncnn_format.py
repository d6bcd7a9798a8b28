"""Read, rewrite and write ncnn's two files: `.param` (the graph, text) and `.bin` (the weights, in layer order).

`.param` starts with a magic number and the counts of layers and blobs; then one line a layer: type, name, number of
inputs and outputs, their names, and parameters as `id=value`. `.bin` has no index: which blobs a layer owns, and how
long they are, follows from its type and parameters. A blob is either raw float32 or starts with a tag that says how it
is stored, and is then padded to four bytes.

A network that was read and is written again gives the same bytes.

Sources: ncnn's "param and model file structure" and "operators" pages; which blobs are tagged was read off its loader.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketfit.errors import ConversionError

__all__ = [
    "Blob",
    "Layer",
    "in_half",
    "read_layers",
    "read_network",
    "write_network",
]

_MAGIC = "7767517"
_TAGS: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): 0,
    np.dtype(np.float16): 0x01306B47,
    np.dtype(np.int8): 0x000D4B38,
}
_DTYPES = {tag: dtype for dtype, tag in _TAGS.items()}

# A scale term above 100 asks for INT8 output as well, and adds the scale of that output.
_REQUANTIZE = 100


@dataclass(frozen=True)
class Blob:
    """One run of weights.

    Args:
        values: flat float32; float16 or int8 only where `tagged`.
        tagged: whether a storage tag precedes the values.
    """

    values: np.ndarray
    tagged: bool


@dataclass(frozen=True)
class Layer:
    """One line of `.param` with the blobs it owns in `.bin`.

    Args:
        kind: ncnn's layer type, such as `Convolution`.
        name: unique in the network.
        inputs: names of the tensors it reads.
        outputs: names of the tensors it writes.
        params: by ncnn's parameter number, as written; arrays have the number `-23300 - id`.
        blobs: in the order of `.bin`.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[int, str]
    blobs: tuple[Blob, ...] = ()

    def integer(self, key: int, default: int = 0) -> int:
        """Parameter `key` as an integer, or ncnn's default where the line does not have it."""
        return int(self.params.get(key, default))


@dataclass(frozen=True)
class _Run:
    """How many values a blob has and whether a tag precedes them."""

    count: int
    tagged: bool = False


def read_layers(param: Path) -> tuple[Layer, ...]:
    """Read the graph alone; the layers have no blobs yet.

    Raises:
        ConversionError: when the file is not ncnn's.
    """
    magic, _, *lines = [*param.read_text(encoding="utf-8").splitlines(), "", ""]
    if magic.strip() != _MAGIC:
        raise ConversionError("ncnn", f"a .param file starts with {_MAGIC}, {param.name} starts with {magic[:20]!r}")
    return tuple(_parse(line) for line in lines if line.strip())


def read_network(param: Path, weights: Path) -> tuple[Layer, ...]:
    """Read both files of a network: its layers in execution order.

    Raises:
        ConversionError: when the files are not ncnn's, or hold weights in a way that is not known here.
    """
    data = weights.read_bytes()
    layers, offset = [], 0
    for layer in read_layers(param):
        blobs = []
        for run in _runs(layer):
            blob, offset = _read_blob(data, offset, run, layer)
            blobs.append(blob)
        layers.append(replace(layer, blobs=tuple(blobs)))
    if offset != len(data):
        kinds = ", ".join(sorted({layer.kind for layer in layers if not layer.blobs}))
        message = f"{weights.name} has {len(data)} bytes, the layers known to hold weights have {offset}"
        raise ConversionError("ncnn", f"{message}; one of these must hold some, too: {kinds}")
    return tuple(layers)


def write_network(layers: Sequence[Layer], param: Path, weights: Path) -> None:
    """Write both files of a network."""
    tensors = {name for layer in layers for name in layer.outputs}
    text = "\n".join([_MAGIC, f"{len(layers)} {len(tensors)}", *map(_line, layers)]) + "\n"
    param.write_text(text, encoding="utf-8", newline="\n")
    with weights.open("wb") as file:
        for layer in layers:
            for blob in layer.blobs:
                file.writelines(_encoded(blob))


def in_half(layer: Layer, blobs: Collection[int]) -> Layer:
    """Round the tagged float32 blobs with these indices to float16, unless a value would overflow."""
    return replace(
        layer, blobs=tuple(_halved(blob) if index in blobs else blob for index, blob in enumerate(layer.blobs))
    )


def _parse(line: str) -> Layer:
    kind, name, inputs, outputs, *rest = line.split()
    first, last = int(inputs), int(inputs) + int(outputs)
    params = {int(key): value for key, _, value in (item.partition("=") for item in rest[last:])}
    return Layer(kind, name, tuple(rest[:first]), tuple(rest[first:last]), params)


def _line(layer: Layer) -> str:
    counts = f"{len(layer.inputs)} {len(layer.outputs)}"
    params = (f"{key}={value}" for key, value in layer.params.items())
    return " ".join([f"{layer.kind:24} {layer.name:24} {counts}", *layer.inputs, *layer.outputs, *params])


def _read_blob(data: bytes, offset: int, run: _Run, layer: Layer) -> tuple[Blob, int]:
    dtype = np.dtype(np.float32)
    if run.tagged:
        dtype = _dtype(data[offset : offset + 4], layer)
        offset += 4
    size = run.count * dtype.itemsize
    end = offset + size + -size % 4
    if end > len(data):
        raise ConversionError("ncnn", f"the weights file ends inside layer {layer.name} ({layer.kind})")
    return Blob(np.frombuffer(data, dtype, run.count, offset), run.tagged), end


def _dtype(tag: bytes, layer: Layer) -> np.dtype[Any]:
    number = int.from_bytes(tag, "little")
    if number not in _DTYPES:
        raise ConversionError("ncnn", f"layer {layer.name} ({layer.kind}) has weights with the unknown tag {number:#x}")
    return _DTYPES[number]


def _encoded(blob: Blob) -> Iterator[bytes]:
    if blob.tagged:
        yield _TAGS[blob.values.dtype].to_bytes(4, "little")
    data = blob.values.tobytes()
    yield data
    yield bytes(-len(data) % 4)


def _halved(blob: Blob) -> Blob:
    largest = np.finfo(np.float16).max
    if not blob.tagged or blob.values.dtype != np.float32 or np.any(np.abs(blob.values) > largest):
        return blob
    return replace(blob, values=blob.values.astype(np.float16))


def _runs(layer: Layer) -> tuple[_Run, ...]:
    """The blobs of a layer, by its type; a type that is not listed has none."""
    number = layer.integer
    match layer.kind:
        case "Convolution" | "ConvolutionDepthWise" if number(19):  # weights that are computed, not stored
            return ()
        case "Convolution":
            return (*_weight_bias(number(6), number(5), number(0)), *_int8_runs(number(8), number(0)))
        case "ConvolutionDepthWise":
            scales = number(7, 1) if number(8) % _REQUANTIZE == 1 else 1
            return (*_weight_bias(number(6), number(5), number(0)), *_int8_runs(number(8), scales))
        case "InnerProduct":
            return (*_weight_bias(number(2), number(1), number(0)), *_int8_runs(min(number(8), 2), number(0)))
        case kind if kind.startswith(("Convolution", "Deconvolution", "DeformableConv")):
            return _weight_bias(number(6), number(5), number(0))
        case "Embed":
            return _weight_bias(number(3), number(2), number(0))
        case "Gemm":
            return _gemm_runs(layer)
        case "MultiHeadAttention":
            return _attention_runs(layer)
        case "LSTM" | "GRU" | "RNN":
            return _recurrent_runs(layer)
        case "MemoryData":
            sizes = (number(0), number(1), number(2), number(11))
            return (_Run(int(np.prod([size for size in sizes if size])), tagged=number(21, 1) == 0),)
        case _:
            return tuple(map(_Run, _raw_counts(layer)))


def _weight_bias(size: int, has_bias: int, outputs: int) -> tuple[_Run, ...]:
    return (_Run(size, tagged=True), _Run(outputs)) if has_bias else (_Run(size, tagged=True),)


def _int8_runs(term: int, scales: int) -> tuple[_Run, ...]:
    if not term:
        return ()
    return (_Run(scales), _Run(1), _Run(1)) if term > _REQUANTIZE else (_Run(scales), _Run(1))


def _gemm_runs(layer: Layer) -> tuple[_Run, ...]:
    m, n, k = (layer.integer(key) for key in (7, 8, 9))
    constants = (
        (layer.integer(4), m * k),
        (layer.integer(5), n * k),
        (layer.integer(6), {0: 1, 1: m, 2: m, 3: m * n, 4: n}.get(layer.integer(10), 0)),
    )
    return tuple(_Run(count, tagged=True) for constant, count in constants if constant and count)


def _attention_runs(layer: Layer) -> tuple[_Run, ...]:
    width, query = layer.integer(0), layer.integer(2)
    key, value = layer.integer(3, width) * width, layer.integer(4, width) * width
    projections = ((query, width), (key, width), (value, width), (query, query // width))
    return tuple(run for size, outputs in projections for run in _weight_bias(size, 1, outputs))


def _recurrent_runs(layer: Layer) -> tuple[_Run, ...]:
    outputs, directions = layer.integer(0), 2 if layer.integer(2) == 2 else 1
    hidden = layer.integer(3, outputs)
    gates, biases = {"LSTM": (4, 4), "GRU": (3, 4), "RNN": (1, 1)}[layer.kind]
    counts = [layer.integer(1), biases * hidden * directions, gates * hidden * outputs * directions]
    if hidden != outputs:
        counts.append(hidden * outputs * directions)
    return tuple(_Run(count, tagged=True) for count in counts)


def _raw_counts(layer: Layer) -> tuple[int, ...]:
    number = layer.integer
    match layer.kind:
        case "BatchNorm":
            return (number(0),) * 4
        case "PReLU" | "Bias":
            return (number(0),)
        case "Scale":  # -233 means that the scale is an input
            return () if number(0) == -233 else (number(0),) * (2 if number(1) else 1)
        case "LayerNorm" | "InstanceNorm" if number(2, 1):
            return (number(0),) * 2
        case "RMSNorm" if number(2, 1):
            return (number(0),)
        case "GroupNorm" if number(3, 1):
            return (number(1),) * 2
        case "Normalize":
            return (number(3),)
        case "Padding":
            return (number(6),) if number(6) else ()
        case _:
            return ()
