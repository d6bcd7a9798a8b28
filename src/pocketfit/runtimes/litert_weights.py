"""Weights in a `.tflite` model stored as narrow as the plan has them, and linear layers that quantize their input.

The converter writes float32 for every layer that reads float. Such a weight is told by its values, which come through
the converter bit by bit, and then takes one of two forms:

* half, and integers of a layer that computes in float: behind a DEQUANTIZE op, which the interpreter runs once;
* integers of a dynamic layer: in the place of the float weight, which makes a hybrid FULLY_CONNECTED of the op.

Weights of 4 bits become INT4 in FULLY_CONNECTED ops on integers. Everywhere else they take 8: XNNPACK leaves a CONV_2D
with INT4 weights to the interpreter's own kernel, which is three times slower, and a DEQUANTIZE of INT4 likewise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketfit.errors import ConversionError
from pocketfit.runtimes.litert_format import op_code

if TYPE_CHECKING:
    from pocketfit.runtimes.stored_weights import StoredWeight

__all__ = ["store_weights"]

# The first versions of the ops that have: a scale per channel in a hybrid product; half; a scale per channel.
_HYBRID = 12
_DEQUANTIZE_HALF = 3
_DEQUANTIZE_CHANNELS = 5


def store_weights(model: Any, weights: Iterable[StoredWeight]) -> tuple[str, ...]:
    """Store weights as the plan has them, in place.

    Args:
        model: an unpacked model with float32 weights where layers read float.
        weights: those of the plan's layers.

    Returns:
        What could not be stored so, in plain sentences.

    Raises:
        ConversionError: a dynamic layer is not in the model, so that nothing would quantize its input.
    """
    places = _places(model)
    missing, wide = [], []
    for weight in weights:
        found = [(tensor, order) for order in _orders(weight) for tensor in _take(places, weight, order)]
        narrow = [_store(model, tensor, order, weight) for tensor, order in found]
        if not found and not weight.is_static:
            missing.append(weight)
        elif weight.bits == 4 and not all(narrow):
            wide.append(weight)
    lost = [weight for weight in missing if weight.is_dynamic]
    if lost:
        raise ConversionError("litert", f"found no FULLY_CONNECTED with the weight of {_named(lost)} in the model")
    notes = [f"stored in float32 because litert-torch changed the weight: {_named(missing)}"] if missing else []
    notes += [f"4-bit weights take 8 bits, for which there are faster kernels: {_named(wide)}"] if wide else []
    return tuple(notes)


def _named(weights: Sequence[StoredWeight]) -> str:
    return ", ".join(weight.layer for weight in weights)


def _places(model: Any) -> dict[bytes, list[int]]:
    """The constant second inputs of layers, by their bytes."""
    graph = model.subgraphs[0]
    indices = {int(op.inputs[1]) for op in graph.operators if _kind(model, op) in _layer_codes()}
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for index in sorted(indices):
        data = model.buffers[graph.tensors[index].buffer].data
        if data is not None:
            places[bytes(bytearray(data))].append(index)
    return places


def _take(places: dict[bytes, list[int]], weight: StoredWeight, order: Sequence[int]) -> list[int]:
    """The tensors that hold the weight in this order of axes, in float32 or as its integers."""
    found = places.pop(weight.restored.transpose(order).tobytes(), [])
    if weight.integers is not None:
        found += places.pop(weight.integers.transpose(order).tobytes(), [])
    return found


def _orders(weight: StoredWeight) -> Iterator[tuple[int, ...]]:
    """How LiteRT may order the axes: channels last, and in depthwise convolutions output channels behind all."""
    axes = weight.restored.ndim
    if axes == 2:
        yield (0, 1)
        return
    yield (0, *range(2, axes), 1)
    if weight.restored.shape[1] == 1:
        yield (1, *range(2, axes), 0)


def _store(model: Any, index: int, order: Sequence[int], weight: StoredWeight) -> bool:
    """Store one weight; say whether it takes no more bits than the plan says."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = model.subgraphs[0].tensors[index]
    if tensor.type == schema.TensorType.INT8:
        return _narrow(model, index, weight)
    if weight.is_dynamic:
        _make_hybrid(model, index, weight)
        return weight.bits == 8 or _narrow(model, index, weight)
    _restore_at_run_time(model, index, order, weight)
    return weight.bits != 4


def _narrow(model: Any, index: int, weight: StoredWeight) -> bool:
    """Turn the integers of a linear layer into INT4 where they are."""
    from ai_edge_litert import schema_py_generated as schema

    if weight.bits != 4 or weight.restored.ndim != 2:
        return weight.bits == 8
    tensor = model.subgraphs[0].tensors[index]
    assert weight.integers is not None
    tensor.type = schema.TensorType.INT4
    tensor.buffer = _add_buffer(model, _pack(weight.integers))
    return True


def _pack(integers: np.ndarray) -> bytes:
    """Two to a byte, the first in the lower half."""
    halves = integers.ravel().astype(np.uint8) & 0x0F
    halves = np.append(halves, np.zeros(len(halves) % 2, np.uint8))
    return (halves[0::2] | (halves[1::2] << 4)).tobytes()


def _make_hybrid(model: Any, index: int, weight: StoredWeight) -> None:
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    tensor = graph.tensors[index]
    assert weight.integers is not None
    tensor.type = schema.TensorType.INT8
    tensor.buffer = _add_buffer(model, weight.integers.tobytes())
    tensor.quantization = _parameters(weight.scales, 0)
    for operator in graph.operators:
        if index in operator.inputs:
            operator.opcodeIndex = op_code(model, schema.BuiltinOperator.FULLY_CONNECTED, _HYBRID)
            operator.builtinOptions.asymmetricQuantizeInputs = True


def _restore_at_run_time(model: Any, index: int, order: Sequence[int], weight: StoredWeight) -> None:
    """Put a narrow constant and a DEQUANTIZE op in front of the float tensor, which keeps its place."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    tensor = graph.tensors[index]
    narrow = schema.TensorT()
    narrow.name, narrow.shape, narrow.hasRank = tensor.name + b"_narrow", tensor.shape, tensor.hasRank
    if weight.integers is None:
        narrow.type, version = schema.TensorType.FLOAT16, _DEQUANTIZE_HALF
        data = weight.restored.transpose(order).astype(np.float16).tobytes()
    else:
        narrow.type, version = schema.TensorType.INT8, _DEQUANTIZE_CHANNELS
        data = weight.integers.transpose(order).tobytes()
        # The converter gives the weights of one-dimensional convolutions a fourth axis.
        narrow.quantization = _parameters(weight.scales, 0 if order[0] == 0 else len(tensor.shape) - 1)
    narrow.buffer = _add_buffer(model, data)
    tensor.buffer = 0  # the one that is always empty
    graph.tensors.append(narrow)
    restore = schema.OperatorT()
    restore.opcodeIndex = op_code(model, schema.BuiltinOperator.DEQUANTIZE, version)
    restore.inputs, restore.outputs = [len(graph.tensors) - 1], [index]
    graph.operators.insert(0, restore)


def _parameters(scales: Sequence[float], axis: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    parameters = schema.QuantizationParametersT()
    parameters.scale = np.asarray(scales, np.float32)
    parameters.zeroPoint = np.zeros(len(scales), np.int64)
    parameters.quantizedDimension = axis
    return parameters


def _add_buffer(model: Any, data: bytes) -> int:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _kind(model: Any, operator: Any) -> int:
    kind: int = model.operatorCodes[operator.opcodeIndex].builtinCode
    return kind


def _layer_codes() -> tuple[int, ...]:
    from ai_edge_litert import schema_py_generated as schema

    codes = schema.BuiltinOperator
    return codes.CONV_2D, codes.DEPTHWISE_CONV_2D, codes.FULLY_CONNECTED
