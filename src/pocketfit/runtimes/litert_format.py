"""The same `.tflite` model in fewer bytes.

The converter writes for every channel of every weight and bias an eight-byte zero point that is zero, and names every
tensor after the whole stack of modules it came from: together a fourteenth of an INT8 MobileNetV2. A flatbuffer may
refer to one vector from many places, so equal zero points are stored once; names keep their last part and stay unique.
Nothing a runtime computes with changes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["compact", "op_code", "order_tensors", "pack", "unpack"]

IDENTIFIER = b"TFL3"
# What the schema asks of buffers (force_align), which the generated Python code does not see to.
ALIGNMENT = 16


def unpack(content: bytes) -> Any:
    """The model as objects of the schema's generated code."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def order_tensors(model: Any) -> None:
    """Put inputs and outputs in the order of the model's, in place: only their names in the signature tell it."""
    (signature,) = model.signatureDefs
    graph = model.subgraphs[signature.subgraphIndex]
    for tensors in (signature.inputs, signature.outputs):
        tensors.sort(key=lambda tensor: int(tensor.name.rpartition(b"_")[2]))
    graph.inputs = [tensor.tensorIndex for tensor in signature.inputs]
    graph.outputs = [tensor.tensorIndex for tensor in signature.outputs]


def op_code(model: Any, kind: int, version: int) -> int:
    """Index of the op in at least that version; it is added where the model has none."""
    from ai_edge_litert import schema_py_generated as schema

    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == kind and code.version >= version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def compact(model: Any) -> None:
    """Share zero points, shorten tensor names and drop buffers that no tensor has, in place; for `pack` alone."""
    zero_points: dict[tuple[int, ...], int] = {}
    for graph in model.subgraphs:
        names: Counter[bytes] = Counter()
        for tensor in graph.tensors:
            short = _short(tensor.name or b"")
            names[short] += 1
            tensor.name = short if names[short] == 1 else short + b";%d" % (names[short] - 1)
            if tensor.quantization is not None and tensor.quantization.zeroPoint is not None:
                tensor.quantization = _SharedZeroPoints(tensor.quantization, zero_points)
    _drop_unread(model)


def pack(model: Any) -> bytes:
    """The model as a file's content."""
    import flatbuffers

    builder = flatbuffers.Builder(sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None))
    model.buffers = [_AlignedBuffer(buffer) for buffer in model.buffers]
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _drop_unread(model: Any) -> None:
    """Empty the buffers of weights that were stored elsewhere; the others keep their numbers."""
    read = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    read |= {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in read:
            buffer.data = None


def _short(name: bytes) -> bytes:
    """`Net/torch.nn.modules.conv.Conv2d_stem;1` as `Conv2d_stem`; inputs and outputs have no such parts."""
    first = name.partition(b";")[0]
    return first.rpartition(b"/")[2].rpartition(b".")[2]


class _SharedZeroPoints:
    """Packs quantization parameters as the generated code does, equal zero points as one vector."""

    def __init__(self, parameters: Any, known: dict[tuple[int, ...], int]) -> None:
        self.parameters = parameters
        self.known = known

    def Pack(self, builder: Any) -> int:
        """Called by the generated code."""
        from ai_edge_litert import schema_py_generated as schema

        zero_points = tuple(int(value) for value in self.parameters.zeroPoint)
        if zero_points not in self.known:
            self.known[zero_points] = builder.CreateNumpyVector(self.parameters.zeroPoint)
        scale = None if self.parameters.scale is None else builder.CreateNumpyVector(self.parameters.scale)
        schema.QuantizationParametersStart(builder)
        if scale is not None:
            schema.QuantizationParametersAddScale(builder, scale)
        schema.QuantizationParametersAddZeroPoint(builder, self.known[zero_points])
        schema.QuantizationParametersAddQuantizedDimension(builder, self.parameters.quantizedDimension)
        packed: int = schema.QuantizationParametersEnd(builder)
        return packed


class _AlignedBuffer:
    """Packs a buffer's bytes at a multiple of `ALIGNMENT`."""

    def __init__(self, buffer: Any) -> None:
        self.data = buffer.data

    def Pack(self, builder: Any) -> int:
        """Called by the generated code."""
        from ai_edge_litert import schema_py_generated as schema

        data = None if self.data is None else _aligned(builder, bytes(bytearray(self.data)))
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        packed: int = schema.BufferEnd(builder)
        return packed


def _aligned(builder: Any, data: bytes) -> int:
    builder.StartVector(1, len(data), ALIGNMENT)
    start = builder.head = builder.head - len(data)
    builder.Bytes[start : start + len(data)] = data
    packed: int = builder.EndVector()
    return packed
