"""An MNN network as its converter leaves it, weights apart, made into one file with the plan's numbers.

    skeleton.mnn, skeleton.mnn.weight ─→ layers with float, half or integer weights, INT8 tensors described ─→ model.mnn

A layer computes on integers where its weights are integers and both its input and its result are described as INT8.
MNN hands INT8 on through poolings and resizings by itself. That is left undone here: on x86 it compares, averages and
interpolates unsigned bytes as signed ones, and gives wrong values (MNN 3.6). A cast from float to float on both sides
keeps these ops float. Arithmetic with a ReLU fused into it cuts its integers at 0, whatever the zero point: where the
lowest integer stands for zero, saturation is the ReLU, and it is taken out; elsewhere the op stays float, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pocketfit.errors import ConversionError
from pocketfit.runtimes.mnn_format import (
    BINARY,
    BLOB,
    CAST,
    CONVOLUTION,
    DESCRIPTION,
    INT8_NUMBERS,
    LAYER_NORM,
    OP,
    SCALE,
    TENSOR_NUMBERS,
    WEIGHTS,
    Layout,
    Record,
    Rewriter,
)
from pocketfit.runtimes.mnn_weights import Weight, Weights, encoded_integers, int8_bias, is_wide
from pocketfit.types import ActivationPlan

__all__ = ["assemble", "count_layers"]

# Kinds of ops, of their parameters, of numbers and of encodings of weights, as the schema counts them.
_CAST = 9
_DEPTHWISE = 13
_CONVOLUTIONS = frozenset({12, _DEPTHWISE})  # linear layers are convolutions of one pixel
_COMPUTE = _CONVOLUTIONS | {17, 18, 33, 39, 106, 113}  # transposed, inner product, products of matrices, in 3-D
_KEPT_FLOAT = frozenset({35, 47})  # resizing and pooling
# Ops whose results have numbers of their own, which MNN would else leave out or take from their readers: arithmetic,
# resizing, products of matrices, pooling, PReLU, reduction, ReLU, ReLU6, scale, softmax, functions, layer norm.
_OWN_NUMBERS = frozenset({7, 22, 35, 39, 47, 49, 68, 69, 70, 77, 85, 101, 106, 603})
_BINARY_PARAMETERS, _BLOB_PARAMETERS, _CAST_PARAMETERS, _CONVOLUTION_PARAMETERS = 6, 7, 8, 9
_SCALE_PARAMETERS, _LAYER_NORM_PARAMETERS = 58, 88
_FLOAT, _INT8 = 1, 6
_INTEGERS, _HALF = 1, 3

# Where a constant's values stand, by their type.
_BLOB_VALUES: Mapping[int, tuple[str, type[np.generic]]] = {
    _FLOAT: ("float32", np.float32),
    3: ("int32", np.int32),
    4: ("uint8", np.uint8),
    _INT8: ("int8", np.int8),
    9: ("int64", np.int64),
}


def assemble(
    skeleton: bytes, apart: bytes, weights: Weights, activations: Mapping[str, ActivationPlan], *, int8: bool
) -> bytes:
    """The network in one file.

    Args:
        skeleton: what MNN's converter writes with `--saveExternalData`.
        apart: the weights it writes beside it.
        weights: the plan's; whatever is none of them stays float32.
        activations: the plan's, by the names of tensors in the network.
        int8: whether layers may compute on integers.

    Raises:
        ConversionError: naming an op that cannot be taken over.
    """
    return _Assembly(_anonymous(skeleton), apart, weights, activations, int8).finish()


def count_layers(content: bytes) -> tuple[int, int]:
    """How many ops of a file multiply integers, and how many multiply at all."""
    net = Record.root(content)
    described = {record.number("index") for record in net.records("described", DESCRIPTION)}
    compute = [op for op in net.records("ops", OP) if op.number("kind") in _COMPUTE]
    return sum(_is_int8(op, described) for op in compute), len(compute)


def _anonymous(skeleton: bytes) -> bytes:
    """Without the identifier that the converter draws at random: equal networks are to be equal files."""
    uuid = Record.root(skeleton).text("uuid").encode()
    return skeleton.replace(uuid, bytes(len(uuid))) if uuid else skeleton


def _is_int8(op: Record, described: set[int]) -> bool:
    if op.number("kind") not in _CONVOLUTIONS:
        return False
    parameters = op.record("main", CONVOLUTION)
    tensors = {*op.numbers("inputs", np.int32).tolist(), *op.numbers("outputs", np.int32).tolist()}
    return parameters is not None and parameters.has("int8") and tensors <= described


class _Assembly:
    def __init__(
        self, skeleton: bytes, apart: bytes, weights: Weights, activations: Mapping[str, ActivationPlan], int8: bool
    ) -> None:
        self._net = Record.root(skeleton)
        self._rewriter = Rewriter(skeleton)
        self._apart = apart
        self._taken = 0
        self._weights = weights
        self._activations = activations
        self._int8 = int8
        self._described: dict[int, ActivationPlan] = {}
        self._new_tensors: list[str] = []
        self._old_tensors = self._net.targets("tensor_names")
        self._names = self._net.texts("tensor_names")

    def finish(self) -> bytes:
        if self._net.targets("subgraphs"):
            raise ConversionError("mnn", "the model has branches or loops, which MNN's sessions do not run")
        rewriter = self._rewriter
        net = rewriter.fields(self._net)
        net["ops"] = rewriter.references([offset for op in self._net.records("ops", OP) for offset in self._op(op)])
        if self._taken != len(self._apart):
            raise ConversionError("mnn", "MNN's converter stores weights of an op that is not known here")
        net["uuid"] = None
        if self._described:
            net["described"] = rewriter.references([self._description(*item) for item in self._described.items()])
        names = [rewriter.text(name) for name in self._new_tensors]
        names = [*map(rewriter.old, self._old_tensors), *names]
        net["tensor_names"] = rewriter.references(names)
        return rewriter.finish(net)

    def _op(self, op: Record) -> list[int]:
        """The op, with its weights in the file; between two casts where it is to stay float."""
        fields = self._rewriter.fields(op)
        parameters, stays_float = self._parameters(op)
        if parameters is not None:
            fields["main"] = parameters
        if self._int8 and op.number("kind") in _OWN_NUMBERS:
            self._describe_result(op)
        if not self._int8 or not (stays_float or op.number("kind") in _KEPT_FLOAT):
            return [self._rewriter.old(op.position) if parameters is None else self._rewriter.table(OP, fields)]
        name, read, written = op.text("name"), op.numbers("inputs", np.int32), op.numbers("outputs", np.int32)
        first, last = self._new_tensor(f"{name}.float"), self._new_tensor(f"{name}.kept")
        fields["inputs"] = self._rewriter.numbers(np.asarray([first, *read[1:]], np.int32))
        fields["outputs"] = self._rewriter.numbers(np.asarray([last, *written[1:]], np.int32))
        before = self._cast(f"{name}.float", read[0], first, op)
        after = self._cast(f"{name}.kept", last, written[0], op)
        return [before, self._rewriter.table(OP, fields), after]

    def _describe_result(self, op: Record) -> None:
        tensor = int(op.numbers("outputs", np.int32)[0])
        numbers = self._activations.get(self._names[tensor])
        if numbers is not None:
            self._described.setdefault(tensor, numbers)

    def _new_tensor(self, name: str) -> int:
        self._new_tensors.append(name)
        return len(self._old_tensors) + len(self._new_tensors) - 1

    def _cast(self, name: str, source: int, target: int, like: Record) -> int:
        rewriter = self._rewriter
        fields = {
            "inputs": rewriter.numbers(np.asarray([source], np.int32)),
            "main_type": _CAST_PARAMETERS,
            "main": rewriter.table(CAST, {"source": _FLOAT, "target": _FLOAT}),
            "name": rewriter.text(name),
            "outputs": rewriter.numbers(np.asarray([target], np.int32)),
            "kind": _CAST,
            "dimensions": like.number("dimensions", 1),
        }
        return rewriter.table(OP, fields)

    def _parameters(self, op: Record) -> tuple[int | None, bool]:
        """The op's parameters with its weights in the file, None if nothing changes; whether it computes in float."""
        if op.number("main_type") == _BINARY_PARAMETERS:
            return self._arithmetic(op)
        kinds: Mapping[int, tuple[Layout, Callable[[Record, Record, list[bytes]], dict[str, Any]]]] = {
            _CONVOLUTION_PARAMETERS: (CONVOLUTION, self._convolution),
            _BLOB_PARAMETERS: (BLOB, self._blob),
            _LAYER_NORM_PARAMETERS: (LAYER_NORM, lambda _, __, parts: self._floats(("gamma", "beta"), parts)),
            _SCALE_PARAMETERS: (SCALE, lambda _, __, parts: self._floats(("scale", "bias"), parts)),
        }
        layout, change = kinds.get(op.number("main_type"), (None, None))
        record = None if layout is None else op.record("main", layout)
        if record is None or layout is None or change is None or not record.has("external"):
            return None, False
        changes = change(op, record, self._take(record))
        narrow = "quantized" in changes and "int8" not in changes
        return self._rewriter.table(layout, {**self._rewriter.fields(record), **changes, "external": None}), narrow

    def _arithmetic(self, op: Record) -> tuple[int | None, bool]:
        record = op.record("main", BINARY)
        numbers = self._activations.get(self._names[int(op.numbers("outputs", np.int32)[0])])
        if not self._int8 or record is None or numbers is None or not record.number("activation"):
            return None, False
        if numbers.zero_point != 0:
            return None, True
        return self._rewriter.table(BINARY, {**self._rewriter.fields(record), "activation": None}), False

    def _take(self, record: Record) -> list[bytes]:
        start, *sizes = record.numbers("external", np.int64).tolist()
        parts = []
        for size in sizes:
            parts.append(self._apart[start : start + size])
            start += size
        self._taken += sum(sizes)
        return parts

    def _floats(self, names: tuple[str, ...], parts: list[bytes]) -> dict[str, Any]:
        vectors = (self._rewriter.numbers(np.frombuffer(part, np.float32)) for part in parts)
        return dict(zip(names, vectors, strict=False))

    def _blob(self, _op: Record, record: Record, parts: list[bytes]) -> dict[str, Any]:
        kind = record.number("type", _FLOAT)
        if kind not in _BLOB_VALUES:
            raise ConversionError("mnn", f"MNN stores the constant {_op.text('name')} in a type that is not known here")
        field, dtype = _BLOB_VALUES[kind]
        return {field: self._rewriter.numbers(np.frombuffer(parts[0], dtype))}

    def _convolution(self, op: Record, _record: Record, parts: list[bytes]) -> dict[str, Any]:
        weight = self._weights.take(parts[0], op.text("name"))
        if weight is None:
            return self._floats(("weight", "bias"), parts)
        if weight.read is None or weight.written is None:
            return {**self._floats(("bias",), parts[1:]), "quantized": self._stored(weight)}
        self._described[int(op.numbers("inputs", np.int32)[0])] = weight.read
        self._described[int(op.numbers("outputs", np.int32)[0])] = weight.written
        depthwise = op.number("kind") == _DEPTHWISE
        bias = int8_bias(np.frombuffer(parts[1], np.float32), weight, depthwise=depthwise)
        return {
            "bias": self._rewriter.numbers(bias),
            "int8": self._rewriter.table(INT8_NUMBERS, _int8_numbers(weight.read, weight.written)),
            "quantized": self._stored(weight),
        }

    def _stored(self, weight: Weight) -> int:
        rewriter = self._rewriter
        if weight.integers is None:
            half = np.frombuffer(weight.restored.astype(np.float16).tobytes(), np.int8)
            return rewriter.table(WEIGHTS, {"buffer": rewriter.numbers(half), "type": _HALF})
        assert weight.scales is not None
        content = np.frombuffer(encoded_integers(weight.integers, weight.stored_bits), np.int8)
        fields = {
            "buffer": rewriter.numbers(content),
            "scales": rewriter.numbers(weight.scales),
            "type": _INTEGERS,
            "scale": 1.0,
            "input_scale": 0.0 if weight.read is None else weight.read.scale,
            "output_scale": 0.0 if weight.written is None else weight.written.scale,
            "bits": weight.stored_bits,
            "wide_shape": int(is_wide(weight.integers)),
        }
        return rewriter.table(WEIGHTS, fields)

    def _description(self, tensor: int, plan: ActivationPlan) -> int:
        numbers = {
            "scale": plan.scale,
            "zero_point": float(plan.zero_point - 128),
            "lowest": -128.0,
            "highest": 127.0,
            "type": _INT8,
        }
        rewriter = self._rewriter
        fields = {"index": tensor, "numbers": rewriter.table(TENSOR_NUMBERS, numbers)}
        return rewriter.table(DESCRIPTION, fields)


def _int8_numbers(read: ActivationPlan, written: ActivationPlan) -> dict[str, Any]:
    return {
        "method": 0,
        "bits": 8,
        "zero_point": read.zero_point - 128,
        "output_zero_point": written.zero_point - 128,
        "lowest": -128,
        "highest": 127,
    }
