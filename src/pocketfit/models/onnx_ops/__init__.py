"""ONNX operators as torch functions: one file a family, each a table from operator to function."""

from __future__ import annotations

from collections.abc import Mapping

from pocketfit.models.onnx_ops import (
    activations,
    arithmetic,
    convolution,
    matmul,
    normalisation,
    pooling,
    recurrent,
    reduction,
    reshaping,
    resize,
    selection,
    shapes,
)
from pocketfit.models.onnx_ops.call import Operator
from pocketfit.models.onnx_ops.sizes import operator_on_sizes

__all__ = ["OPERATORS", "operator_on_sizes"]

OPERATORS: Mapping[str, Operator] = {
    **activations.TABLE,
    **arithmetic.TABLE,
    **convolution.TABLE,
    **matmul.TABLE,
    **normalisation.TABLE,
    **pooling.TABLE,
    **recurrent.TABLE,
    **reduction.TABLE,
    **reshaping.TABLE,
    **resize.TABLE,
    **selection.TABLE,
    **shapes.TABLE,
}
