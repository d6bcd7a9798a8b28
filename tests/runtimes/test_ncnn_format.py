"""The reader and the writer against ncnn itself and against each other."""

import ctypes
from pathlib import Path

import ncnn
import numpy as np
import pytest

from pocketfit.errors import ConversionError
from pocketfit.runtimes.ncnn_format import Blob, Layer, in_half, read_layers, read_network, write_network

# One of each way in which a layer type holds weights, with sizes that tell the dimensions apart.
LAYERS = {
    "convolution": ("Convolution", {0: 5, 1: 3, 5: 1, 6: 90}),
    "convolution without bias": ("Convolution", {0: 5, 1: 3, 6: 90}),
    "int8 convolution": ("Convolution", {0: 5, 1: 3, 5: 1, 6: 90, 8: 2}),
    "int8 convolution with int8 output": ("Convolution", {0: 5, 1: 3, 5: 1, 6: 90, 8: 102}),
    "convolution with computed weights": ("Convolution", {0: 5, 1: 3, 5: 1, 6: 90, 19: 1}),
    "depthwise": ("ConvolutionDepthWise", {0: 6, 1: 3, 5: 1, 6: 54, 7: 6}),
    "int8 depthwise": ("ConvolutionDepthWise", {0: 6, 1: 3, 5: 1, 6: 54, 7: 6, 8: 1}),
    "int8 depthwise with int8 output": ("ConvolutionDepthWise", {0: 6, 1: 3, 5: 1, 6: 54, 7: 6, 8: 101}),
    "int8 depthwise with one scale": ("ConvolutionDepthWise", {0: 6, 1: 3, 5: 1, 6: 54, 7: 6, 8: 2}),
    "convolution 1d": ("Convolution1D", {0: 5, 1: 3, 5: 1, 6: 90}),
    "depthwise 1d": ("ConvolutionDepthWise1D", {0: 6, 1: 3, 5: 1, 6: 18, 7: 6}),
    "deconvolution": ("Deconvolution", {0: 5, 1: 3, 5: 1, 6: 90}),
    "grouped deconvolution": ("DeconvolutionDepthWise", {0: 6, 1: 3, 6: 54, 7: 3}),
    "deformable": ("DeformableConv2D", {0: 5, 1: 3, 5: 1, 6: 90}),
    "inner product": ("InnerProduct", {0: 5, 1: 1, 2: 50}),
    "int8 inner product": ("InnerProduct", {0: 5, 1: 1, 2: 50, 8: 2}),
    "embedding": ("Embed", {0: 5, 1: 10, 3: 50}),
    "matrix product": ("Gemm", {4: 1, 5: 1, 6: 1, 7: 3, 8: 5, 9: 7, 10: 4}),
    "matrix product with one constant": ("Gemm", {5: 1, 6: 1, 7: 3, 8: 5, 9: 7, 10: -1}),
    "matrix product with constant row sums": ("Gemm", {6: 1, 7: 3, 8: 5, 9: 7, 10: 3}),
    "attention": ("MultiHeadAttention", {0: 4, 1: 2, 2: 16}),
    "cross attention": ("MultiHeadAttention", {0: 4, 1: 2, 2: 16, 3: 8, 4: 6}),
    "lstm": ("LSTM", {0: 3, 1: 60, 2: 0}),
    "lstm both ways": ("LSTM", {0: 3, 1: 120, 2: 2}),
    "gru": ("GRU", {0: 3, 1: 45, 2: 0}),
    "rnn": ("RNN", {0: 3, 1: 30, 2: 2}),
    "constant": ("MemoryData", {0: 5, 1: 3, 2: 2}),
    "tagged constant": ("MemoryData", {0: 5, 1: 3, 21: 0}),
    "batch norm": ("BatchNorm", {0: 7}),
    "scale": ("Scale", {0: 7, 1: 1}),
    "scale from outside": ("Scale", {0: -233}),
    "prelu": ("PReLU", {0: 7}),
    "layer norm": ("LayerNorm", {0: 7}),
    "layer norm without weights": ("LayerNorm", {0: 7, 2: 0}),
    "rms norm": ("RMSNorm", {0: 7}),
    "instance norm": ("InstanceNorm", {0: 7}),
    "group norm": ("GroupNorm", {0: 1, 1: 7}),
    "group norm without weights": ("GroupNorm", {0: 1, 1: 7, 3: 0}),
    "normalize": ("Normalize", {3: 7}),
    "padding by channel": ("Padding", {6: 5}),
    "no weights": ("Pooling", {0: 1, 1: 2}),
}


class ZeroFile(ncnn.DataReader):
    """A weights file of zeros, as long as the layer wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def read(self, target: object, size: int) -> int:
        address = ctypes.pythonapi.PyCapsule_GetPointer
        address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        ctypes.memset(address(target, None), 0, size)
        self.size += size
        return size


def bytes_read_by_ncnn(kind: str, params: dict[int, int]) -> int:
    layer, values, file = ncnn.create_layer(kind), ncnn.ParamDict(), ZeroFile()
    for key, value in params.items():
        values.set(key, value)
    layer.load_param(values)
    layer.load_model(ncnn.ModelBinFromDataReader(file))
    return file.size


def as_text(params: dict[int, int]) -> dict[int, str]:
    return {key: str(value) for key, value in params.items()}


def numbers(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def small_network() -> tuple[Layer, ...]:
    return (
        Layer("Input", "in0", (), ("in0",), {}),
        Layer(
            "Convolution",
            "conv",
            ("in0",),
            ("a",),
            {0: "3", 1: "1", 5: "1", 6: "9", 9: "3", -23310: "2,0.000000e+00,6.000000e+00"},
            (Blob(numbers(9), True), Blob(numbers(3), False)),
        ),
        Layer("Reshape", "reshape", ("a",), ("b",), {6: '"0w,-1"'}),
        Layer("InnerProduct", "fc", ("b",), ("out0",), {0: "5", 2: "15"}, (Blob(numbers(15, 1), True),)),
    )


@pytest.mark.parametrize(("kind", "params"), LAYERS.values(), ids=LAYERS)
def test_every_layer_owns_as_many_bytes_as_ncnn_reads(kind: str, params: dict[int, int], tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    write_network([Layer(kind, "layer", ("in0",), ("out0",), as_text(params))], param, weights)
    weights.write_bytes(bytes(bytes_read_by_ncnn(kind, params)))

    (layer,) = read_network(param, weights)

    assert all(not blob.values.any() for blob in layer.blobs)


def test_a_network_is_read_as_it_was_written(tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    write_network(small_network(), param, weights)

    layers = read_network(param, weights)

    for got, expected in zip(layers, small_network(), strict=True):
        assert (got.kind, got.name, got.inputs, got.outputs) == (
            expected.kind,
            expected.name,
            expected.inputs,
            expected.outputs,
        )
        assert got.params == expected.params
        for blob, original in zip(got.blobs, expected.blobs, strict=True):
            assert blob.tagged == original.tagged
            np.testing.assert_array_equal(blob.values, original.values)


def test_ncnn_loads_what_was_written(tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    write_network(small_network(), param, weights)

    net = ncnn.Net()

    assert net.load_param(str(param)) == 0
    assert net.load_model(str(weights)) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_blobs_of_every_type_are_padded_and_read_back(dtype: type, tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    values = np.arange(-3, 4).astype(dtype)  # seven: neither two nor four divides it
    layer = Layer("Embed", "embed", ("in0",), ("out0",), {0: "1", 1: "7", 2: "1", 3: "7"})
    blobs = (Blob(values, True), Blob(numbers(1), False))
    write_network([Layer(layer.kind, "embed", ("in0",), ("out0",), layer.params, blobs)], param, weights)

    (read,) = read_network(param, weights)

    assert weights.stat().st_size % 4 == 0
    assert read.blobs[0].values.dtype == dtype
    np.testing.assert_array_equal(read.blobs[0].values, values)


def test_half_rounds_the_chosen_tagged_blobs_only() -> None:
    layer = small_network()[1]

    chosen, left = in_half(layer, {0}), in_half(layer, set())

    assert [blob.values.dtype for blob in chosen.blobs] == [np.float16, np.float32]
    np.testing.assert_array_equal(chosen.blobs[0].values, layer.blobs[0].values.astype(np.float16))
    assert [blob.values.dtype for blob in left.blobs] == [np.float32, np.float32]
    assert [blob.values.dtype for blob in in_half(layer, {1}).blobs] == [np.float32, np.float32]


def test_half_leaves_weights_that_would_overflow() -> None:
    values = np.array([1, 70000], np.float32)  # the largest half is 65504
    layer = Layer("InnerProduct", "fc", ("in0",), ("out0",), {0: "2", 2: "2"}, (Blob(values, True),))

    assert in_half(layer, {0}).blobs[0].values.dtype == np.float32


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    param = tmp_path / "a.param"
    param.write_text("<html>\n")

    with pytest.raises(ConversionError, match="starts with 7767517"):
        read_layers(param)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    param = tmp_path / "a.param"
    param.touch()

    with pytest.raises(ConversionError, match="starts with 7767517"):
        read_layers(param)


def test_a_cut_weights_file_is_refused_with_the_layer(tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    write_network(small_network(), param, weights)
    weights.write_bytes(weights.read_bytes()[:-4])

    with pytest.raises(ConversionError, match=r"ends inside layer fc \(InnerProduct\)"):
        read_network(param, weights)


def test_weights_nobody_owns_are_refused_with_the_types_in_question(tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    write_network(small_network(), param, weights)
    weights.write_bytes(weights.read_bytes() + bytes(8))

    with pytest.raises(ConversionError, match="one of these must hold some, too: Input, Reshape"):
        read_network(param, weights)


def test_an_unknown_tag_is_refused(tmp_path: Path) -> None:
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    write_network(small_network(), param, weights)
    weights.write_bytes(b"\x83\x8b\x34\x01" + weights.read_bytes()[4:])

    with pytest.raises(ConversionError, match="unknown tag 0x1348b83"):
        read_network(param, weights)
