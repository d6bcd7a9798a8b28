"""Each operator in the variants that files of different opsets have; loading proves it against ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper, save, shape_inference

from pocketfit.errors import ModelError
from pocketfit.models.onnx_source import from_onnx
from pocketfit.models.quiet import quiet

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def scalar(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


@dataclass(frozen=True)
class Case:
    """One call of an operator.

    Args:
        op: operator.
        opset: of the file.
        shape: of the image, without the batch.
        constants: further inputs; None for one left out.
        attributes: by name.
        first: whether the image is the first input; otherwise it is the last.
    """

    op: str
    opset: int
    shape: tuple[int, ...] = (4, 6, 6)
    constants: tuple[np.ndarray | None, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    first: bool = True

    def __str__(self) -> str:
        return f"{self.op}-{self.opset}-{'-'.join(f'{k}={v}' for k, v in self.attributes.items())}"


def of(op: str, opset: int, *constants: np.ndarray | None, shape=(4, 6, 6), first=True, **attributes: Any) -> Case:
    return Case(op, opset, shape, constants, attributes, first)


def write(path, case: Case, batch: str | int = "N"):
    names = [f"c{index}" if constant is not None else "" for index, constant in enumerate(case.constants)]
    inputs = ["x", *names] if case.first else [*names, "x"]
    outputs = ["y", "z"] if case.op in ("Split", "TopK") else ["y"]
    node = helper.make_node(case.op, inputs, outputs, name="the_node", **case.attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *case.shape])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(c, name) for c, name in zip(case.constants, names, strict=True) if c is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=8)
    save(_with_output_shape(model, len(case.shape) + 1), path)
    return path


def _with_output_shape(model: ModelProto, rank: int) -> ModelProto:
    """The checker wants one; where it cannot be inferred, it has the rank of the input."""
    model = shape_inference.infer_shapes(model)
    output = model.graph.output[0]
    if not output.type.tensor_type.HasField("shape"):
        output.CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank))
    return model


RESHAPING = [
    of("Reshape", 9, ints(0, -1)),
    of("Reshape", 14, ints(-1, 2, 72)),
    of("Reshape", 14, ints(0, 0, -1), allowzero=0),
    of("Flatten", 9, axis=2),
    of("Flatten", 13, axis=-2),
    of("Flatten", 13, axis=0),
    of("Squeeze", 9, shape=(4, 1, 6), axes=[2]),
    of("Squeeze", 13, ints(-2), shape=(4, 1, 6)),
    of("Unsqueeze", 9, axes=[1, 4]),
    of("Unsqueeze", 13, ints(-1, 1)),
    of("Transpose", 13, perm=[0, 2, 3, 1]),
    of("Expand", 13, ints(1, 4, 6, 6), shape=(4, 1, 6)),
    of("Expand", 13, ints(3, 1, 1, 1, 1)),
    of("Tile", 13, ints(1, 2, 1, 3)),
    of("Split", 11, axis=1, split=[1, 3]),
    of("Split", 13, ints(3, 1), axis=1),
    of("DepthToSpace", 9, blocksize=2),
    of("DepthToSpace", 11, blocksize=2, mode="CRD"),
    of("SpaceToDepth", 13, blocksize=3),
    of("Pad", 9, pads=[0, 0, 1, 2, 0, 0, 0, 3], value=0.5),
    of("Pad", 11, ints(0, 0, 1, 1, 0, 0, 2, 2), mode="reflect"),
    of("Pad", 13, ints(0, 0, 0, 1, 0, 0, 0, 2), mode="edge"),
    of("Pad", 13, ints(0, 1, -1, 0, 0, 0, 0, -2), scalar(2.0)),
    of("Pad", 18, ints(1, 2, 0, 1), None, ints(2, -1)),
    of("Pad", 19, ints(1, 2, 0, 1), None, ints(2, 3), mode="wrap"),
    of("Identity", 13),
    of("Dropout", 9, ratio=0.3),
    of("Dropout", 13, scalar(0.3)),
    of("Slice", 9, starts=[1, 0], ends=[9223372036854775807, -1], axes=[1, 3]),
    of("Slice", 13, ints(-1), ints(-9223372036854775807), ints(2), ints(-2)),
    of("Slice", 13, ints(0, 1), ints(4, 6), ints(1, -1), ints(2, 3)),
    of("Gather", 13, np.array(1), axis=1),
    of("Gather", 13, ints(1, 2, 3), axis=-1),
    of("Gather", 13, ints(-2, -1), axis=1),
    of("Gather", 13, ints(-1, 0), axis=1),
    of("Gather", 13, np.array([[0, 3], [2, 2]]), axis=2),
    of("ScatterND", 16, np.array([[0, 1, 2]]), floats(1, 6), shape=(4, 6, 6)),
    of("Trilu", 14, upper=0),
    of("Trilu", 14, np.array(1)),
]

LAYERS = [
    of("Conv", 9, floats(5, 4, 3, 3), pads=[0, 1, 2, 1], strides=[2, 1]),
    of("Conv", 11, floats(5, 4, 3, 3), floats(5), auto_pad="SAME_UPPER", strides=[2, 2]),
    of("Conv", 11, floats(5, 4, 2, 2), floats(5), auto_pad="SAME_LOWER"),
    of("Conv", 11, floats(4, 1, 3, 3), auto_pad="VALID", group=4, dilations=[2, 2]),
    of("Conv", 11, floats(6, 2, 3), pads=[1, 1], group=2, shape=(4, 9)),
    of("Conv", 11, floats(3, 2, 2, 2, 2), shape=(2, 4, 4, 4)),
    of("ConvTranspose", 11, floats(4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    of("ConvTranspose", 11, floats(4, 3, 3, 3), floats(3), strides=[2, 2], pads=[0, 1, 1, 0]),
    of("ConvTranspose", 11, floats(4, 1, 2, 2), strides=[2, 2], group=4),
    of("ConvTranspose", 11, floats(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    of("ConvTranspose", 11, floats(4, 3, 3, 3), strides=[2, 2], output_shape=[12, 11], auto_pad="SAME_LOWER"),
    of("ConvTranspose", 11, floats(4, 3, 3), dilations=[2], shape=(4, 7)),
    of("MatMul", 13, floats(6, 5)),
    of("MatMul", 13, floats(4, 5, 6), first=False),
    of("Gemm", 11, floats(7, 5), floats(5), shape=(7,)),
    of("Gemm", 11, floats(5, 7), floats(1, 5), shape=(7,), transB=1, alpha=0.5, beta=2.0),
    of("Gemm", 13, floats(5, 7), shape=(7,), transB=1),
    of("Gemm", 13, floats(5, 7), scalar(2.0), shape=(7,), transB=1),
    of("Einsum", 12, floats(6, 3), equation="nchw,wk->nchk"),
    of("BatchNormalization", 9, floats(4), floats(4), floats(4), np.abs(floats(4)) + 0.5),
    of("BatchNormalization", 15, floats(4), floats(4), floats(4), np.abs(floats(4)) + 0.5, epsilon=1e-3),
    of("InstanceNormalization", 9, floats(4), floats(4)),
    of("GroupNormalization", 21, floats(4), floats(4), num_groups=2),
    of("LayerNormalization", 17, floats(6), floats(6)),
    of("LayerNormalization", 17, floats(6, 6), axis=2, epsilon=1e-3),
    of("LayerNormalization", 17, floats(6), floats(6, 6), axis=-2),
    of("LRN", 13, size=3, alpha=0.1, bias=2.0),
    of("LpNormalization", 9, axis=1, p=1),
    of("MeanVarianceNormalization", 13),
]

POOLS = [
    of("MaxPool", 9, kernel_shape=[3, 3], strides=[2, 2]),
    of("MaxPool", 11, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1]),
    of("MaxPool", 11, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    of("MaxPool", 11, kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    of("MaxPool", 11, kernel_shape=[3, 3], pads=[0, 0, 2, 2], dilations=[1, 2]),
    of("MaxPool", 11, kernel_shape=[2], pads=[1, 0], shape=(4, 7)),
    of("AveragePool", 9, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    of("AveragePool", 11, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    of("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    of("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 2, 0], count_include_pad=1),
    of("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 2, 0, 1]),
    of("AveragePool", 19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    of("AveragePool", 19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1], count_include_pad=1),
    of("LpPool", 11, kernel_shape=[2, 2], strides=[2, 2], p=2),
    of("GlobalAveragePool", 9),
    of("GlobalMaxPool", 9),
    of("GlobalLpPool", 9, p=2),
]

POINTWISE = [
    *(of(op, 13) for op in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Abs", "Neg", "Exp", "Floor")),
    *(of(op, 13) for op in ("Ceil", "Round", "Sign", "Sin", "Cos", "Atan")),
    of("HardSwish", 14),
    of("HardSigmoid", 9),
    of("HardSigmoid", 9, alpha=1 / 6, beta=0.5),
    of("Mish", 18),
    of("Gelu", 20),
    of("Gelu", 20, approximate="tanh"),
    of("Elu", 9, alpha=0.7),
    of("Celu", 12, alpha=0.7),
    of("Selu", 9),
    of("Selu", 9, alpha=1.5, gamma=2.0),
    of("LeakyRelu", 9, alpha=0.2),
    of("ThresholdedRelu", 10, alpha=0.3),
    of("Shrink", 9, lambd=0.3, bias=0.1),
    of("PRelu", 9, floats(4, 1, 1)),
    of("PRelu", 9, floats(1)),
    of("PRelu", 16, floats(6, 6)),
    of("Clip", 9, min=0.0, max=6.0),
    of("Clip", 9, min=-0.5),
    of("Clip", 11, scalar(-0.5), scalar(0.5)),
    of("Clip", 13, None, scalar(0.5)),
    of("Softmax", 9),
    of("Softmax", 11, axis=2),
    of("Softmax", 13),
    of("Softmax", 13, axis=1),
    of("LogSoftmax", 11, axis=1),
    of("Hardmax", 13, axis=1),
    of("Add", 13, floats(4, 1, 1)),
    of("Sub", 13, scalar(2.0), first=False),
    of("Mul", 13, scalar(2.0)),
    of("Mul", 13, floats(1, 1, 1, 1, 1)),
    of("Div", 13, floats(4, 1, 1)),
    of("Pow", 13, scalar(2.0)),
    of("Pow", 13, np.array(2)),
    of("Mod", 13, scalar(0.7), fmod=1),
    of("Max", 13, floats(4, 1, 1), floats(6)),
    of("Min", 13, scalar(0.0)),
    of("Sum", 13, floats(6)),
    of("Mean", 13, floats(6)),
    of("Where", 13, np.array([True, False, True, True, False, False]), scalar(0.0), first=False),
    of("Cast", 13, to=TensorProto.FLOAT),
    of("CumSum", 14, np.array(2), reverse=1, exclusive=1),
]

REDUCTIONS = [
    *(of(f"Reduce{kind}", 11, axes=[2, 3], keepdims=0) for kind in ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2")),
    *(of(f"Reduce{kind}", 18, ints(-1, 2)) for kind in ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2")),
    of("ReduceSum", 13, ints(1), keepdims=1),
    of("ReduceSum", 13, noop_with_empty_axes=1),
    of("ReduceLogSumExp", 13, axes=[1]),
    of("ReduceSumSquare", 13, axes=[-1], keepdims=0),
    of("TopK", 11, ints(2), axis=1),
]

SCALES, HALVES = np.array([1, 1, 2, 2], np.float32), np.array([1, 1, 0.5, 0.5], np.float32)
ODD = np.array([1, 1, 1.7, 1.3], np.float32)
NO_ROI = np.zeros(0, np.float32)


def resize(opset: int, scales: np.ndarray, **attributes: Any) -> Case:
    return of("Resize", opset, NO_ROI, scales, **attributes)


def sized(opset: int, *sizes: int, **attributes: Any) -> Case:
    return of("Resize", opset, None, None, ints(1, 4, *sizes), **attributes)


RESIZES = [
    of("Upsample", 9, SCALES, mode="nearest"),
    of("Upsample", 9, SCALES, mode="linear"),
    of("Resize", 10, ODD, mode="nearest"),
    of("Resize", 10, SCALES, mode="linear"),
    resize(11, SCALES, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    resize(11, HALVES, mode="nearest"),
    resize(13, ODD, mode="nearest", nearest_mode="ceil", coordinate_transformation_mode="half_pixel"),
    resize(11, SCALES, mode="linear", coordinate_transformation_mode="half_pixel"),
    resize(11, SCALES, mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    resize(11, SCALES, mode="linear", coordinate_transformation_mode="align_corners"),
    resize(13, ODD, mode="linear", coordinate_transformation_mode="half_pixel"),
    resize(13, SCALES, mode="cubic", coordinate_transformation_mode="half_pixel"),
    resize(13, SCALES, mode="cubic", coordinate_transformation_mode="align_corners", cubic_coeff_a=-0.5),
    resize(18, HALVES, mode="linear", antialias=1),
    resize(19, ODD, mode="linear", coordinate_transformation_mode="half_pixel_symmetric"),
    of("Resize", 18, None, None, ints(9, 9), mode="linear", axes=[2, 3]),
]

RECURRENT = [
    of("LSTM", 9, floats(1, 20, 6), floats(1, 20, 5), floats(1, 40), hidden_size=5, shape=(1, 6)),
    of("LSTM", 14, floats(2, 20, 6), floats(2, 20, 5), hidden_size=5, direction="bidirectional", shape=(1, 6)),
    of("LSTM", 14, floats(1, 20, 6), floats(1, 20, 5), hidden_size=5, direction="reverse", shape=(1, 6)),
    of(
        "GRU", 14, floats(1, 15, 6), floats(1, 15, 5), floats(1, 30), hidden_size=5, linear_before_reset=1, shape=(1, 6)
    ),
    of("GRU", 14, floats(1, 15, 6), floats(1, 15, 5), floats(1, 30), hidden_size=5, shape=(1, 6)),
    of("GRU", 14, floats(2, 15, 6), floats(2, 15, 5), hidden_size=5, direction="bidirectional", shape=(1, 6)),
    of("RNN", 14, floats(1, 5, 6), floats(1, 5, 5), floats(1, 10), hidden_size=5, shape=(1, 6)),
    of("RNN", 14, floats(1, 5, 6), floats(1, 5, 5), hidden_size=5, activations=["Relu"], shape=(1, 6)),
]

CASES = [*RESHAPING, *LAYERS, *POOLS, *POINTWISE, *REDUCTIONS, *RESIZES, *RECURRENT]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_what_onnx_runtime_computes(case, tmp_path):
    source = from_onnx(str(write(tmp_path / "m.onnx", case)))
    assert source.input_shape == case.shape


# One of each family whose result depends on the sizes of the image.
FOLLOWED = [
    of("Reshape", 9, ints(0, -1)),
    of("Flatten", 13, axis=-2),
    of("Expand", 13, ints(1, 4, 6, 6), shape=(4, 1, 6)),
    of("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 2, 0], count_include_pad=1),
    of("ConvTranspose", 11, floats(4, 3, 3, 3), strides=[2, 2], pads=[0, 1, 1, 0]),
    of("DepthToSpace", 9, blocksize=2),
    resize(13, ODD, mode="nearest", nearest_mode="ceil"),
    resize(13, SCALES, mode="cubic", coordinate_transformation_mode="align_corners", cubic_coeff_a=-0.5),
]


@pytest.mark.parametrize("case", FOLLOWED, ids=str)
def test_torch_export_follows_with_any_batch(case, tmp_path):
    module = from_onnx(str(write(tmp_path / "m.onnx", case))).module
    with quiet():
        program = torch.export.export(
            module, (torch.zeros(2, *case.shape),), dynamic_shapes=(({0: torch.export.Dim.DYNAMIC},),)
        )
    x = torch.randn(5, *case.shape)
    # The same operations in the same order.
    assert torch.equal(program.module()(x), module(x))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (of("BatchNormalization", 15, *[np.ones(4, np.float32)] * 4, training_mode=1), "statistics of the batch"),
        (of("AveragePool", 19, kernel_shape=[2, 2], dilations=[2, 2]), "no dilated average"),
        (of("Resize", 13, NO_ROI, np.array([1, 2, 1, 1], np.float32)), "Only spatial axes"),
        (of("LSTM", 14, floats(1, 20, 6), floats(1, 20, 5), hidden_size=5, clip=1.0, shape=(1, 6)), "no clip"),
        (of("RNN", 14, floats(1, 5, 6), floats(1, 5, 5), hidden_size=5, activations=["Elu"], shape=(1, 6)), "Elu"),
        (of("Reshape", 13, ints(5, 5)), "cannot be computed"),
    ],
    ids=str,
)
def test_what_cannot_be_turned_names_the_node(case, message, tmp_path):
    with pytest.raises(ModelError, match=message) as caught:
        from_onnx(str(write(tmp_path / "m.onnx", case)))
    assert str(caught.value).startswith(f"{case.op} (node 'the_node', opset {case.opset})")
