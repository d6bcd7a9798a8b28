"""Element types of ONNX in torch and numpy."""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto

from pocketfit.models.onnx_ops.call import Call

__all__ = ["numpy_dtype", "torch_dtype"]

# A canonical model computes in float32; narrower and wider floats are read as that.
_TYPES: dict[int, tuple[torch.dtype, type]] = {
    TensorProto.FLOAT: (torch.float32, np.float32),
    TensorProto.FLOAT16: (torch.float32, np.float32),
    TensorProto.BFLOAT16: (torch.float32, np.float32),
    TensorProto.DOUBLE: (torch.float32, np.float32),
    TensorProto.BOOL: (torch.bool, np.bool_),
    TensorProto.UINT8: (torch.uint8, np.uint8),
    TensorProto.INT8: (torch.int8, np.int8),
    TensorProto.INT16: (torch.int16, np.int16),
    TensorProto.INT32: (torch.int32, np.int32),
    TensorProto.INT64: (torch.int64, np.int64),
}


def torch_dtype(call: Call, element: int) -> torch.dtype:
    """The dtype of an element type that a node names."""
    return _lookup(call, element)[0]


def numpy_dtype(call: Call, element: int) -> type:
    """Likewise for numbers."""
    return _lookup(call, element)[1]


def _lookup(call: Call, element: int) -> tuple[torch.dtype, type]:
    if element not in _TYPES:
        call.refuse(
            f"the element type {TensorProto.DataType.Name(element)} is not supported.",
            "Allowed are floats, booleans and integers of 8 to 64 bits.",
        )
    return _TYPES[element]
