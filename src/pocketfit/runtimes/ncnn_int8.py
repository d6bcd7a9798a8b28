"""INT8 in an ncnn network: which layers can, how one is given scales, and where numbers stay INT8 between two layers.

ncnn multiplies by its scales where the plan divides, so a scale here is one over the plan's. A layer's parameter 8,
`int8_scale_term`, says that weights and input have scales; above 100 the output has one, too, and is INT8.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pocketfit.runtimes.ncnn_format import Blob, Layer

__all__ = ["connect_int8", "has_int8", "in_int8", "int8_factors", "is_int8"]

_CONVOLUTIONS = frozenset({"Convolution", "ConvolutionDepthWise"})
_TERM = 8
_REQUANTIZE = 100


def has_int8(layer: Layer) -> bool:
    """Whether ncnn can run this float layer on INT8 with one weight scale an output channel."""
    return layer.kind in _CONVOLUTIONS or layer.kind == "InnerProduct" or _is_linear(layer)


def is_int8(layer: Layer) -> bool:
    """Whether the layer's parameters say that it has INT8 scales."""
    return layer.kind != "Gemm" and has_int8(layer) and layer.integer(_TERM) > 0


def in_int8(layer: Layer, weight_scales: Sequence[float], input_scale: float, limit: int = 127) -> tuple[Layer, ...]:
    """Give a float layer INT8 weights and the scales of its weights and its input; bias and output stay float32.

    Args:
        layer: one that `has_int8`, with float32 weights.
        weight_scales: one positive scale an output channel; `q = clip(round(w / scale), -limit, limit)`.
        input_scale: `q = clip(round(x / input_scale), -127, 127)`.
        limit: largest integer of a weight: 127, or 7 where the plan says 4 bits.

    Returns:
        One layer, or for a grouped convolution the layers that do its work: ncnn has one weight scale a group, so
        each group becomes a convolution of its own, as it does anyway when ncnn loads the network.
    """
    scales = np.asarray(weight_scales, np.float32)
    if layer.kind == "Gemm":
        layer = _as_inner_product(layer)
    if layer.kind != "ConvolutionDepthWise":
        return (_quantized(layer, 2, scales, input_scale, limit),)
    groups = layer.integer(7, 1)
    if groups == len(scales):
        return (_quantized(layer, 1, scales, input_scale, limit),)
    first, *parts, last = _by_group(layer, groups)
    shares = zip(parts, np.split(scales, groups), strict=True)
    return (first, *(_quantized(part, 2, share, input_scale, limit) for part, share in shares), last)


def connect_int8(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Let a convolution give INT8 where only INT8 convolutions read it, all with the same input scale.

    They would quantize it with that very scale, so the numbers stay the same and a pass over memory is saved.
    """
    readers: defaultdict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        for tensor in layer.inputs:
            readers[tensor].append(layer)
    return tuple(_connected(layer, tuple(_final_readers(layer, readers))) for layer in layers)


def int8_factors(layers: Sequence[Layer]) -> dict[str, float]:
    """One over the scale of each tensor that is INT8 between two layers, by its name.

    Args:
        layers: in execution order, with their blobs.
    """
    factors: dict[str, float] = {}
    for layer in layers:
        if layer.kind in _CONVOLUTIONS and layer.integer(_TERM) > _REQUANTIZE:
            factors |= dict.fromkeys(layer.outputs, float(layer.blobs[-1].values[0]))
        elif layer.kind == "Split" and layer.inputs[0] in factors:
            factors |= dict.fromkeys(layer.outputs, factors[layer.inputs[0]])
    return factors


def _connected(layer: Layer, readers: Sequence[Layer | None]) -> Layer:
    if not all(map(_is_int8_convolution, (layer, *readers))):
        return layer
    scales = {float(reader.blobs[-1].values[0]) for reader in readers if reader is not None}
    if len(scales) != 1:
        return layer
    term = str(layer.integer(_TERM) + _REQUANTIZE)
    scale = Blob(np.array([*scales], np.float32), False)
    return replace(layer, params={**layer.params, _TERM: term}, blobs=(*layer.blobs, scale))


def _final_readers(layer: Layer, readers: Mapping[str, Sequence[Layer]]) -> Iterator[Layer | None]:
    """Who reads the layer's results, seen through the copies that ncnn spells out; None is the network's caller."""
    for tensor in layer.outputs:
        if tensor not in readers:
            yield None
        for reader in readers.get(tensor, ()):
            if reader.kind == "Split":
                yield from _final_readers(reader, readers)
            else:
                yield reader


def _is_int8_convolution(layer: Layer | None) -> bool:
    return layer is not None and layer.kind in _CONVOLUTIONS and is_int8(layer)


def _quantized(layer: Layer, term: int, scales: np.ndarray, input_scale: float, limit: int) -> Layer:
    # Multiplying by one over the scale is how the plan's simulation divides, too: the integers are the same.
    factors = 1 / scales
    weight, *bias = layer.blobs
    rows = weight.values.reshape(len(factors), -1) * factors[:, None]
    integers = np.clip(np.round(rows), -limit, limit).astype(np.int8).ravel()
    input_factor = 1 / np.asarray([input_scale], np.float32)
    return replace(
        layer,
        params={**layer.params, _TERM: str(term)},
        blobs=(Blob(integers, True), *bias, Blob(factors, False), Blob(input_factor, False)),
    )


def _by_group(layer: Layer, groups: int) -> Iterator[Layer]:
    """Slice, one convolution a group, concatenation."""
    names = [f"{layer.name}_group{index}" for index in range(groups)]
    inputs, outputs = (tuple(f"{name}_{end}" for name in names) for end in ("in", "out"))
    even = ",".join([str(groups), *["-233"] * groups])  # -233: an equal share
    yield Layer("Slice", f"{layer.name}_slice", layer.inputs, inputs, {-23300: even, 1: "0"})
    shares = {0: layer.integer(0) // groups, 6: layer.integer(6) // groups}
    params = {key: str(shares.get(key, value)) for key, value in layer.params.items() if key != 7}
    pieces = [np.split(blob.values, groups) for blob in layer.blobs]
    for index, name in enumerate(names):
        blobs = tuple(replace(blob, values=piece[index]) for blob, piece in zip(layer.blobs, pieces, strict=True))
        yield Layer("Convolution", name, inputs[index : index + 1], outputs[index : index + 1], params, blobs)
    yield Layer("Concat", f"{layer.name}_concat", outputs, layer.outputs, {0: "0"})


def _is_linear(layer: Layer) -> bool:
    """Whether it is a matrix product of rows × constant transposed matrix + constant row."""
    if layer.kind != "Gemm":
        return False
    plain = all(layer.integer(key) == 0 for key in (2, 4, 11, 12, 13, 14))
    scaled = float(layer.params.get(0, 1)) != 1 or float(layer.params.get(1, 1)) != 1
    return plain and not scaled and layer.integer(3) == layer.integer(5) == 1 and layer.integer(10) in (-1, 4)


def _as_inner_product(layer: Layer) -> Layer:
    outputs, size = layer.integer(8), layer.integer(8) * layer.integer(9)
    weight, *bias = layer.blobs
    params = {0: str(outputs), 1: str(len(bias)), 2: str(size)}
    return replace(
        layer,
        kind="InnerProduct",
        params=params,
        blobs=(weight, *(replace(blob, tagged=False) for blob in bias)),
    )
