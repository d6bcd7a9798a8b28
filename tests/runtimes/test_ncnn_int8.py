"""Single INT8 layers in ncnn against numpy, and what may stay INT8 between two of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pocketfit.runtimes.ncnn import Ncnn
from pocketfit.runtimes.ncnn_format import Blob, Layer, write_network
from pocketfit.runtimes.ncnn_int8 import connect_int8, has_int8, in_int8, is_int8
from pocketfit.types import Artifact, Precision, Scheme, TensorSpec

INPUT = Layer("Input", "in0", (), ("in0",), {})
# Integers are summed exactly; what is left is the rounding of a few float32 multiplications.
EXACT = 1e-5
# On x86 ncnn takes the reciprocal of a depthwise layer's scales with RCPPS, whose relative error is 1.5 * 2**-12.
DEPTHWISE = 1.5 * 2**-12


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def fake(values: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Through INT8 and back."""
    scale = np.asarray(scale, np.float32)
    return np.clip(np.round(values * (1 / scale)), -127, 127) * scale


def scales_of(weight: np.ndarray) -> np.ndarray:
    """One scale per output channel."""
    return (np.abs(weight).reshape(len(weight), -1).max(1) / 127).astype(np.float32)


def scale_of(values: np.ndarray) -> float:
    return float(np.float32(np.abs(values).max() / 127))


def convolution(
    weight: np.ndarray,
    bias: np.ndarray,
    *,
    groups: int = 1,
    name: str = "conv",
    ends: tuple[str, str] = ("in0", "out0"),
) -> Layer:
    kernel = weight.shape[-1]
    numbers = {0: len(weight), 1: kernel, 4: kernel // 2, 5: 1, 6: weight.size}
    params = {key: str(value) for key, value in (numbers | ({7: groups} if groups > 1 else {})).items()}
    kind = "ConvolutionDepthWise" if groups > 1 else "Convolution"
    return Layer(kind, name, ends[:1], ends[1:], params, (Blob(weight.ravel(), True), Blob(bias, False)))


def run(layers: list[Layer], values: np.ndarray, folder: Path) -> np.ndarray:
    files = (folder / "model.param", folder / "model.bin")
    write_network(layers, *files)
    shape = (1, *expected_shape(layers, values))
    artifact = Artifact(
        "ncnn",
        Precision.INT8,
        Scheme.SYMMETRIC,
        files,
        TensorSpec("in0", (1, *values.shape)),
        TensorSpec("out0", shape),
    )
    (output,) = Ncnn().open(artifact).run([values[None]])
    return output[0]


def expected_shape(layers: list[Layer], values: np.ndarray) -> tuple[int, ...]:
    outputs = [layer.integer(0) for layer in layers if layer.kind.startswith(("Conv", "Inner"))]
    groups = sum("_group" in layer.name for layer in layers) or 1
    width = outputs[-1] * groups
    return (width, *values.shape[1:]) if values.ndim == 3 else (*values.shape[:-1], width)


def convolved(values: np.ndarray, weight: np.ndarray, bias: np.ndarray, groups: int = 1) -> np.ndarray:
    arrays = (values[None], weight, bias)
    tensors = [torch.from_numpy(array).double() for array in arrays]
    padding = weight.shape[-1] // 2
    return torch.nn.functional.conv2d(*tensors, padding=padding, groups=groups)[0].numpy()


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "groups", "tolerance"),
    [
        (3, 16, 3, 1, EXACT),
        (16, 16, 1, 1, EXACT),
        (64, 64, 3, 1, EXACT),  # by Winograd, whose INT8 transforms are exact
        (7, 7, 3, 7, EXACT),  # not a multiple of four: no packing, no RCPPS
        (16, 16, 3, 16, DEPTHWISE),
        (16, 16, 5, 16, DEPTHWISE),
        (16, 24, 3, 4, EXACT),
        (8, 16, 3, 8, EXACT),
        (32, 16, 3, 16, EXACT),
    ],
)
def test_a_convolution_computes_with_the_integers_of_the_plan(
    inputs: int, outputs: int, kernel: int, groups: int, tolerance: float, tmp_path: Path
) -> None:
    values, bias = normal(inputs, 12, 12), normal(outputs, seed=1)
    weight = normal(outputs, inputs // groups, kernel, kernel, seed=2)
    scales, scale = scales_of(weight), scale_of(values)

    layers = [INPUT, *in_int8(convolution(weight, bias, groups=groups), scales, scale)]
    got = run(layers, values, tmp_path)

    expected = convolved(fake(values, scale), fake(weight, scales[:, None, None, None]), bias, groups)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_a_grouped_convolution_becomes_one_convolution_a_group() -> None:
    """ncnn has one weight scale a group, the plan one a channel."""
    weight = normal(12, 2, 3, 3)

    layers = in_int8(convolution(weight, normal(12), groups=4), scales_of(weight), 0.1)

    assert [layer.kind for layer in layers] == ["Slice", *["Convolution"] * 4, "Concat"]
    assert [layer.blobs[0].values.dtype for layer in layers[1:-1]] == [np.int8] * 4
    assert layers[0].inputs == ("in0",)
    assert layers[-1].outputs == ("out0",)


@pytest.mark.parametrize("shape", [(24,), (7, 24)], ids=["vector", "sequence"])
def test_a_linear_layer_computes_with_the_integers_of_the_plan(shape: tuple[int, ...], tmp_path: Path) -> None:
    values, weight, bias = normal(*shape), normal(10, 24, seed=1), normal(10, seed=2)
    blobs = (Blob(weight.ravel(), True), Blob(bias, False))
    layer = Layer("InnerProduct", "fc", ("in0",), ("out0",), {0: "10", 1: "1", 2: "240"}, blobs)

    got = run([INPUT, *in_int8(layer, scales_of(weight), scale_of(values))], values, tmp_path)

    expected = fake(values, scale_of(values)) @ fake(weight, scales_of(weight)[:, None]).T + bias
    np.testing.assert_allclose(got, expected, rtol=0, atol=EXACT * np.abs(expected).max())


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_matrix_product_that_is_a_linear_layer_becomes_one(with_bias: bool, tmp_path: Path) -> None:
    """pnnx writes a linear layer on a sequence as Gemm, whose INT8 has one weight scale in all."""
    values, weight, bias = normal(7, 24), normal(10, 24, seed=1), normal(10, seed=2) * with_bias
    params = {10: "4" if with_bias else "-1", 2: "0", 3: "1", 4: "0", 5: "1", 6: "1", 7: "7", 8: "10", 9: "24"}
    blobs = (Blob(weight.ravel(), True), Blob(bias, True))[: 1 + with_bias]
    layer = Layer("Gemm", "gemm", ("in0",), ("out0",), params, blobs)

    assert has_int8(layer)
    assert not is_int8(layer)
    got = run([INPUT, *in_int8(layer, scales_of(weight), scale_of(values))], values, tmp_path)

    expected = fake(values, scale_of(values)) @ fake(weight, scales_of(weight)[:, None]).T + bias
    np.testing.assert_allclose(got, expected, rtol=0, atol=EXACT * np.abs(expected).max())


@pytest.mark.parametrize(
    "other",
    [{5: "0"}, {3: "0"}, {2: "1"}, {10: "3"}, {0: "2.000000e+00"}, {14: "1"}],
    ids=["computed weight", "weight as it is", "transposed rows", "whole matrix added", "scaled", "transposed result"],
)
def test_any_other_matrix_product_stays_float(other: dict[int, str]) -> None:
    params = {10: "4", 2: "0", 3: "1", 4: "0", 5: "1", 6: "1", 7: "7", 8: "10", 9: "24"}

    assert not has_int8(Layer("Gemm", "gemm", ("in0",), ("out0",), params | other))


def pair(second_scale: float = 0.05) -> list[Layer]:
    """A 1×1 convolution and a 3×3 convolution that reads it."""
    first, second = normal(16, 8, 1, 1, seed=1), normal(8, 16, 3, 3, seed=2)
    return [
        INPUT,
        *in_int8(convolution(first, normal(16, seed=3), name="one", ends=("in0", "mid")), scales_of(first), 0.02),
        *in_int8(
            convolution(second, normal(8, seed=4), name="two", ends=("mid", "out0")), scales_of(second), second_scale
        ),
    ]


def split(layers: list[Layer], reader: Layer) -> list[Layer]:
    """The first convolution is read by the second, as before, and by `reader`, which reads `copy`."""
    head, one, two = layers
    copies = Layer("Split", "split", ("mid",), ("mid_0", "copy"), {})
    moved = Layer(two.kind, two.name, ("mid_0",), two.outputs, two.params, two.blobs)
    return [head, one, copies, moved, reader]


def test_numbers_stay_int8_between_two_convolutions(tmp_path: Path) -> None:
    values = normal(8, 12, 12)

    connected = connect_int8(pair())

    assert [layer.params.get(8) for layer in connected] == [None, "102", "2"]
    assert connected[1].blobs[-1].values == connected[2].blobs[-1].values
    # The second layer would have quantized with the same scale: not one bit differs.
    np.testing.assert_array_equal(run([*connected], values, tmp_path), run(pair(), values, tmp_path))


def test_numbers_stay_int8_when_all_readers_agree() -> None:
    second = pair()[2]
    reader = Layer(second.kind, "three", ("copy",), ("out1",), second.params, second.blobs)

    assert connect_int8(split(pair(), reader))[1].params[8] == "102"


@pytest.mark.parametrize(
    "reader",
    [
        Layer("ReLU", "relu", ("copy",), ("out1",), {}),
        Layer("Convolution", "three", ("copy",), ("out1",), {0: "8"}),
        Layer("Convolution", "three", ("copy",), ("out1",), pair(0.06)[2].params, pair(0.06)[2].blobs),
        Layer("Noop", "elsewhere", ("other",), ("out1",), {}),
    ],
    ids=["another op", "a float convolution", "another scale", "the caller"],
)
def test_numbers_are_float_where_a_reader_needs_them_so(reader: Layer) -> None:
    assert connect_int8(split(pair(), reader))[1].params[8] == "2"


def test_the_result_of_the_network_is_float() -> None:
    assert connect_int8(pair())[-1].params[8] == "2"
