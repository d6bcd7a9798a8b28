"""Read an ONNX file and refuse what is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto, numpy_helper

from pocketfit.errors import ModelError
from pocketfit.models.onnx_ops.call import Numbers

__all__ = ["array_of", "read_file", "widen"]

# Older files spell broadcasting out in another way.
OLDEST = 7

_WIDENED = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}


def read_file(path: Path) -> ModelProto:
    """Read a file with the weights that lie beside it; all its floats become float32.

    Args:
        path: of the `.onnx` file; files of external data have to lie in its folder.

    Raises:
        ModelError: the file or its data is missing or damaged, or its opset is too old or too new.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of an ONNX file.")
    model = _load(path)
    _check_opset(model, path)
    model = onnx.inliner.inline_local_functions(model) if model.functions else model
    widen(model.graph)
    return model


def array_of(tensor: TensorProto) -> Numbers:
    """A tensor of the file; floats as float32."""
    array = numpy_helper.to_array(tensor)
    if tensor.data_type in _WIDENED:
        array = array.astype(np.float32)
    # torch knows no unsigned integers beyond 8 bits.
    return array.astype(np.int64) if array.dtype in (np.uint16, np.uint32, np.uint64) else array


def _load(path: Path) -> ModelProto:
    try:
        model = onnx.load(path)
    except FileNotFoundError as error:
        missing = error.filename or error
        raise ModelError(f"{path} keeps weights in a file that is not there: {missing}. {_BESIDE}") from error
    # A damaged file fails with whatever the damaged part makes the parser fail with.
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as ONNX ({type(error).__name__}: {_first_line(error)}). "
            f"Copy or export it again. {_BESIDE}"
        ) from error
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:
        raise ModelError(f"{path} is not a valid ONNX model: {_first_line(error)}. Export it again.") from error
    return model


_BESIDE = "Files of external data have to lie in the same folder, under the names they were exported with."


def _check_opset(model: ModelProto, path: Path) -> None:
    newest = onnx.defs.onnx_opset_version()
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), newest)
    if not OLDEST <= opset <= newest:
        raise ModelError(
            f"{path} is of opset {opset}; allowed are {OLDEST} to {newest}. "
            "Export it again with opset_version=17, or use onnx.version_converter.convert_version."
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "").rstrip(".")


def widen(graph: GraphProto) -> None:
    """Half and double precision become single, in the whole graph: the canonical model computes in float32."""
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        _widen_value(value)
    for node in graph.node:
        for attribute in node.attribute:
            _widen_attribute(node.op_type, attribute)


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in _WIDENED:
        tensor.CopyFrom(numpy_helper.from_array(array_of(tensor), tensor.name))


def _widen_value(value: ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type in _WIDENED:
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def _widen_attribute(op: str, attribute: AttributeProto) -> None:
    if attribute.type == AttributeProto.TENSOR:
        _widen_tensor(attribute.t)
    elif op == "Cast" and attribute.name == "to" and attribute.i in _WIDENED:
        attribute.i = TensorProto.FLOAT
