"""Weights in an ONNX graph stored as narrow as the plan has them, and linear layers that quantize their input.

The exporter writes weights as they are computed with. What is stored here instead, an initializer of fewer bits behind
a Cast, is widened again by ONNX Runtime's constant folding when it loads the file: the file is small, and the kernels
are the same. (Behind a DequantizeLinear, which it never folds, a weight would be restored at every inference.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.errors import ConversionError

if TYPE_CHECKING:
    import onnx

    from pocketfit.runtimes.stored_weights import StoredWeight

__all__ = ["keep_float", "quantize_at_run_time", "store_weights", "take_uint8"]

# Of a bias in INT32: finer than float32 resolves, far from the end of the range.
_BIAS_STEPS = 2**30


@dataclass(frozen=True)
class _Place:
    """The initializer that holds a weight, and whether the exporter transposed it for a product of matrices."""

    tensor: onnx.TensorProto
    transposed: bool

    def ordered(self, values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values.T) if self.transposed else values


def store_weights(program: onnx.ModelProto, weights: Mapping[str, StoredWeight]) -> tuple[str, ...]:
    """Store weights with the plan's bits: half, integers behind scales where layers read float, and INT4.

    Args:
        program: changed in place.
        weights: by the name of their initializer.

    Returns:
        The layers whose weights are not in the graph, because the exporter changed them: they stay as they were.
    """
    missing = []
    for name, weight in weights.items():
        place = _place(program.graph, name, weight)
        if place is None:
            missing.append(weight.layer)
        elif not weight.is_static or weight.bits == 4:
            _put_first(program, _narrowed(program.graph, place, weight))
    return tuple(missing)


def quantize_at_run_time(program: onnx.ModelProto, weights: Mapping[str, StoredWeight]) -> None:
    """Make integer products of the linear layers with these weights, their input quantized with its own range.

    The six nodes that a layer becomes are those that ONNX Runtime fuses into one DynamicQuantizeMatMul.

    Raises:
        ConversionError: a weight is not that of an exported linear layer.
    """
    for name, weight in weights.items():
        place = _place(program.graph, name, weight)
        products = [] if place is None else list(_products(program.graph, place.tensor.name))
        if place is None or not products:
            raise ConversionError(
                "onnxruntime", f"found no linear layer with the weight of {weight.layer} in the graph"
            )
        for index, product in enumerate(products):
            _replace(program.graph, product, _dynamic_nodes(product, place.tensor.name, index))
        _store_columns(program, place.tensor, weight)


def _place(graph: onnx.GraphProto, name: str, weight: StoredWeight) -> _Place | None:
    from onnx import numpy_helper

    by_name = {tensor.name: tensor for tensor in graph.initializer}
    if name in by_name:
        return _Place(by_name[name], transposed=False)
    shape, content = list(weight.restored.shape[::-1]), weight.restored.T.tobytes()
    for tensor in graph.initializer:
        if list(tensor.dims) == shape and numpy_helper.to_array(tensor).tobytes() == content:
            return _Place(tensor, transposed=True)
    return None


def _put_first(program: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    rest = list(program.graph.node)
    del program.graph.node[:]
    program.graph.node.extend([*nodes, *rest])


def keep_float(program: onnx.ModelProto) -> None:
    """Keep ONNX Runtime from quantizing the weights of float layers that stand between INT8 tensors.

    It does so by itself, with one scale for a whole weight, wherever a Conv or Gemm (or what it makes one of) reads a
    DequantizeLinear and a QuantizeLinear reads it. It leaves those alone whose bias is no constant; a constant of INT32
    behind a DequantizeLinear, which it does not fold, is none.
    """
    from onnx import numpy_helper

    graph = program.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    _put_first(program, [_hide_bias(graph, node, constants) for node in _exposed(graph, constants)])


def take_uint8(program: onnx.ModelProto) -> None:
    """Give the input the type UINT8, under its name; a Cast restores what the graph computes with.

    Args:
        program: of one float32 input; changed in place.
    """
    import onnx

    (given,) = program.graph.input
    inside = f"{given.name}.float32"
    for node in program.graph.node:
        node.input[:] = [inside if name == given.name else name for name in node.input]
    given.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    _put_first(program, [onnx.helper.make_node("Cast", [given.name], [inside], to=onnx.TensorProto.FLOAT)])


def _exposed(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray]) -> Iterator[onnx.NodeProto]:
    """The nodes that add the bias of a float layer that reads a restored tensor."""
    restored = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    turned = {node.output[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] in constants}
    products = set()
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[0] in restored and node.input[1] in constants:
            yield node
        elif node.op_type == "MatMul" and node.input[0] in restored and node.input[1] in turned.union(constants):
            products.add(node.output[0])
        elif node.op_type == "Add" and products.intersection(node.input) and constants.keys() & set(node.input):
            yield node


def _hide_bias(graph: onnx.GraphProto, node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> onnx.NodeProto:
    """Give the node another bias; return the node that computes it."""
    from onnx import helper

    position = 2
    if node.op_type == "Add":
        position = next(index for index, name in enumerate(node.input) if name in constants)
    elif len(node.input) == 2:
        node.input.append("")
    own = constants.get(node.input[position])
    bias = np.zeros(len(constants[node.input[1]]), np.float32) if own is None else own
    scale = np.float32(max(float(np.abs(bias).max()), 1e-30) / _BIAS_STEPS)
    name = f"{node.output[0]}.bias"
    steps = np.rint(bias.astype(np.float64) / float(scale)).astype(np.int32)
    graph.initializer.extend([_tensor(f"{name}.int32", steps), _tensor(f"{name}.scale", np.asarray(scale))])
    node.input[position] = name
    return helper.make_node("DequantizeLinear", [f"{name}.int32", f"{name}.scale"], [name], name)


def _narrowed(graph: onnx.GraphProto, place: _Place, weight: StoredWeight) -> list[onnx.NodeProto]:
    """Replace the initializer's content; return the nodes that give what it was."""
    from onnx import TensorProto, helper

    tensor, name = place.tensor, place.tensor.name
    if weight.integers is None:
        tensor.CopyFrom(_tensor(f"{name}.float16", place.ordered(weight.restored).astype(np.float16)))
        return [helper.make_node("Cast", [tensor.name], [name], f"{name}.widen", to=TensorProto.FLOAT)]
    tensor.CopyFrom(_integer_tensor(f"{name}.int{weight.bits}", place.ordered(weight.integers), weight.bits))
    if weight.is_static:
        return [helper.make_node("Cast", [tensor.name], [name], f"{name}.widen", to=TensorProto.INT8)]
    per_channel = np.asarray(weight.scales, np.float32).reshape(-1, *[1] * (weight.integers.ndim - 1))
    graph.initializer.append(_tensor(f"{name}.scales", place.ordered(per_channel)))
    return [
        helper.make_node("Cast", [tensor.name], [f"{name}.steps"], f"{name}.widen", to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.steps", f"{name}.scales"], [name], f"{name}.restore"),
    ]


def _store_columns(program: onnx.ModelProto, tensor: onnx.TensorProto, weight: StoredWeight) -> None:
    """Integers with output channels as columns, as MatMulInteger wants them."""
    from onnx import TensorProto, helper

    name = tensor.name
    assert weight.integers is not None
    stored = name if weight.bits == 8 else f"{name}.int4"
    tensor.CopyFrom(_integer_tensor(stored, weight.integers.T, weight.bits))
    program.graph.initializer.append(_tensor(f"{name}.scales", np.asarray(weight.scales, np.float32)))
    if stored != name:
        _put_first(program, [helper.make_node("Cast", [stored], [name], f"{name}.widen", to=TensorProto.INT8)])


def _integer_tensor(name: str, integers: np.ndarray, bits: int) -> onnx.TensorProto:
    from onnx import TensorProto, helper

    if bits == 8:
        return _tensor(name, np.ascontiguousarray(integers))
    tensor: onnx.TensorProto = helper.make_tensor(name, TensorProto.INT4, integers.shape, integers.ravel().tolist())
    return tensor


def _tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    from onnx import numpy_helper

    tensor: onnx.TensorProto = numpy_helper.from_array(values, name)
    return tensor


def _products(graph: onnx.GraphProto, weight: str) -> Iterator[onnx.NodeProto]:
    """The Gemm nodes that read the weight, and the MatMul nodes that read it transposed."""
    turned = {weight} | {
        node.output[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] == weight
    }
    for node in graph.node:
        if (node.op_type == "Gemm" and node.input[1] == weight) or (
            node.op_type == "MatMul" and node.input[1] in turned
        ):
            yield node


def _dynamic_nodes(product: onnx.NodeProto, weight: str, index: int) -> Iterator[onnx.NodeProto]:
    from onnx import TensorProto, helper

    prefix = f"{weight}.{index}"
    result, bias = product.output[0], product.input[2:3]
    names = [f"{prefix}.{part}" for part in ("values", "scale", "zero_point", "sums", "float", "factor", "product")]
    values, scale, zero_point, sums, floats, factor, scaled = names
    yield helper.make_node("DynamicQuantizeLinear", [product.input[0]], [values, scale, zero_point], values)
    yield helper.make_node("MatMulInteger", [values, weight, zero_point], [sums], sums)
    yield helper.make_node("Cast", [sums], [floats], floats, to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [scale, f"{weight}.scales"], [factor], factor)
    yield helper.make_node("Mul", [floats, factor], [scaled if bias else result], scaled)
    if bias:
        yield helper.make_node("Add", [scaled, bias[0]], [result], f"{prefix}.biased")


def _replace(graph: onnx.GraphProto, node: onnx.NodeProto, others: Iterator[onnx.NodeProto]) -> None:
    position = next(index for index, other in enumerate(graph.node) if other.output[0] == node.output[0])
    rest = list(graph.node)
    rest[position : position + 1] = list(others)
    read = {name for other in rest for name in other.input} | {output.name for output in graph.output}
    del graph.node[:]
    # The transpose of a replaced product has no reader left.
    graph.node.extend(other for other in rest if not read.isdisjoint(other.output))
