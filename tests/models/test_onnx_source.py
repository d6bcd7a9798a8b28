"""From an ONNX file to a model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pocketfit.errors import ModelError, WeightsError
from pocketfit.graph.base import relative_error
from pocketfit.models import load_model, source_of
from pocketfit.models.onnx_model.parity import TOLERANCE, check_parity
from pocketfit.models.onnx_model.read import read_file
from pocketfit.models.onnx_source import from_onnx, is_onnx
from pocketfit.models.quiet import quiet

FLOAT = TensorProto.FLOAT
RANDOM = np.random.default_rng(0)


class Net(nn.Module):
    """What files of small networks hold: a strided stem, a gate, upsampling, a head behind a reshape."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.norm, self.drop, self.head = nn.LayerNorm(8), nn.Dropout(), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.up(x * self.gate(x))
        x = x.view(x.size(0), 8, x.size(2) * x.size(3)).transpose(1, 2)
        return self.head(self.drop(self.norm(x).mean(1)))


class WithToken(nn.Module):
    """A class token in front of the patches, as vision transformers have it."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 8, 4, stride=4), nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.patches(x).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(x.shape[0], -1, -1), rows], 1)
        return torch.softmax(rows @ rows.transpose(1, 2), -1)[:, 0]


def export(module: nn.Module, path: Path, opset: int = 17, *, dynamic: bool = True) -> str:
    with quiet():
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, 3, 8, 8),),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "batch"}} if dynamic else None,
        )
    return str(path)


def seeded(build: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def value(name: str, *shape: int | str | None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RANDOM.standard_normal(shape).astype(np.float32), name)


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] = (value("x", "N", 3, 8, 8),),
    outputs: Sequence[onnx.ValueInfoProto] = (value("y", None, None, None, None),),
    weights: Sequence[onnx.TensorProto] = (),
    domains: Sequence[str] = (),
    opset: int = 17,
) -> str:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return str(path)


node = helper.make_node


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_what_torch_exports_comes_back(opset, tmp_path):
    net = seeded(Net)
    model = load_model(export(net, tmp_path / "net.onnx", opset))
    x = torch.randn(3, 3, 8, 8)
    assert model.dynamic_batch
    assert (model.name, model.input.shape, model.output.shape) == ("net", (1, 3, 8, 8), (1, 4))
    # Loading proves the file; this is the file against what it was exported from, with batch-norm folded twice.
    assert relative_error(net(x), model.graph(x)) < TOLERANCE


@pytest.mark.parametrize(("build", "dynamic"), [(Net, False), (WithToken, False), (WithToken, True)])
def test_any_batch_even_of_a_file_for_one_image(build, dynamic, tmp_path):
    net = seeded(build)
    model = load_model(export(net, tmp_path / "net.onnx", dynamic=dynamic))
    x = torch.randn(3, 3, 8, 8)
    assert model.dynamic_batch
    assert relative_error(net(x), model.graph(x)) < TOLERANCE


def test_the_exporter_by_torch_export(tmp_path):
    net, path = seeded(Net).eval(), tmp_path / "net.onnx"
    with quiet():
        program = torch.onnx.export(net, (torch.zeros(2, 3, 8, 8),), dynamo=True, verbose=False)
    program.save(path, external_data=True)
    assert (tmp_path / "net.onnx.data").is_file()
    source = from_onnx(str(path))
    x = torch.randn(2, 3, 8, 8)
    assert relative_error(net(x), source.module(x)) < TOLERANCE
    assert "head.weight" in dict(source.module.named_parameters())


def test_names_are_those_of_the_user(tmp_path):
    path = export(seeded(Net), tmp_path / "net.onnx")
    source, model = from_onnx(path), load_model(path)
    # The batch-norm is folded by the exporter, which leaves the convolution's weights without a name.
    assert {"stem.0.weight", "stem.0.bias", "gate.1.weight", "head.bias"} <= set(source.module.state_dict())
    assert [source_of(call) for call in model.graph.graph.nodes if call.target is torch.ops.aten.conv2d.default] == [
        "stem.0.Conv",
        "gate.1.Conv",
    ]


def test_sizes_and_small_numbers_are_no_weights(tmp_path):
    source = from_onnx(export(seeded(Net), tmp_path / "net.onnx"))
    assert all(parameter.dim() > 0 for parameter in source.module.parameters())
    assert not list(source.module.buffers())


def test_a_product_and_a_sum_are_a_linear_layer(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Add", ["b", "p"], ["y"])]
    inputs, outputs = [value("x", "N", 5, 6)], [value("y", "N", 5, 4)]
    model = load_model(write(tmp_path / "m.onnx", nodes, inputs, outputs, [weight("w", 6, 4), weight("b", 4)]))
    calls = [call.target for call in model.graph.graph.nodes if call.op == "call_function"]
    assert calls == [torch.ops.aten.linear.default]


def test_what_depends_on_weights_alone_is_computed_once(tmp_path):
    nodes = [node("Transpose", ["w"], ["t"], perm=[1, 0]), node("Gemm", ["x", "t"], ["y"])]
    inputs, outputs = [value("x", "N", 6)], [value("y", "N", 4)]
    module = from_onnx(write(tmp_path / "m.onnx", nodes, inputs, outputs, [weight("w", 4, 6)])).module
    assert [layer.node.op for layer in module.children() if hasattr(layer, "node")] == ["Gemm"]


def test_arithmetic_on_shapes_leaves_nothing_in_the_graph(tmp_path):
    constants = [
        numpy_helper.from_array(np.array(v, np.int64), k) for k, v in {"i": 0, "a": [0], "two": [2], "m": [-1]}.items()
    ]
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "i"], ["g"]),
        node("Unsqueeze", ["g", "a"], ["b"]),
        node("Mul", ["b", "two"], ["bb"]),
        node("Div", ["bb", "two"], ["b2"]),
        node("Concat", ["b2", "m"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["y"]),
    ]
    model = load_model(write(tmp_path / "m.onnx", nodes, outputs=[value("y", "N", 192)], weights=constants))
    calls = [str(call.target) for call in model.graph.graph.nodes if call.op == "call_function"]
    assert model.dynamic_batch
    assert calls == ["aten.reshape.default"]


def test_half_precision_is_read_as_single(tmp_path):
    half = numpy_helper.from_array(RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float16), "w")
    kind = TensorProto.FLOAT16
    inputs, outputs = [value("x", "N", 3, 8, 8, kind=kind)], [value("y", "N", 4, 6, 6, kind=kind)]
    source = from_onnx(write(tmp_path / "m.onnx", [node("Conv", ["x", "w"], ["y"])], inputs, outputs, [half]))
    assert source.module.get_parameter("w").dtype is torch.float32


def test_channels_behind_are_put_in_front(tmp_path):
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], ["y"])]
    path = write(tmp_path / "m.onnx", nodes, [value("x", "N", 8, 10, 3)], weights=[weight("w", 4, 3, 3, 3)])
    model = load_model(path)
    calls = [str(call.target) for call in model.graph.graph.nodes if call.op == "call_function"]
    assert (model.input.shape, model.output.shape) == ((1, 3, 8, 10), (1, 4, 6, 8))
    assert calls == ["aten.conv2d.default"]


def test_one_of_several_outputs(tmp_path):
    nodes = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("NonZero", ["a"], ["c"])]
    outputs = [value("a", "N", 3, 8, 8), value("b", "N", 3, 8, 8), value("c", 4, None, kind=TensorProto.INT64)]
    path = write(tmp_path / "m.onnx", nodes, outputs=outputs)
    x = torch.randn(1, 3, 8, 8)
    # What the other outputs need is left out, so that the operator without a counterpart is in nobody's way.
    assert torch.equal(from_onnx(f"{path}#b").module(x), -torch.relu(x))
    swapped = load_model(f"{path}#b,a")
    assert [output.shape for output in swapped.outputs] == [(1, 3, 8, 8)] * 2
    assert torch.equal(swapped.graph(x)[1], torch.relu(x))
    with pytest.raises(ModelError, match="NonZero"):
        from_onnx(path)
    with pytest.raises(ModelError, match="'d' is none of them"):
        from_onnx(f"{path}#d")


def test_an_input_that_the_output_does_not_need_is_left_out(tmp_path):
    nodes = [node("Relu", ["x"], ["a"]), node("Add", ["a", "z"], ["b"])]
    inputs, outputs = [value("x", "N", 3, 8, 8), value("z", "N", 3, 8, 8)], [value(n, "N", 3, 8, 8) for n in "ab"]
    path = write(tmp_path / "m.onnx", nodes, inputs, outputs)
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(from_onnx(f"{path}#a").module(x), torch.relu(x))
    assert from_onnx(f"{path}#b").input_shape == ((3, 8, 8), (3, 8, 8))


@pytest.mark.parametrize("sizes", [(9, 4, 4), (2, 3, 4), (8, 10, 5)])
def test_a_small_map_with_channels_in_front_stays(sizes, tmp_path):
    nodes = [node("Relu", ["x"], ["y"])]
    path = write(tmp_path / "m.onnx", nodes, [value("x", "N", *sizes)], [value("y", "N", *sizes)])
    assert from_onnx(path).input_shape == sizes


def test_open_sizes_are_asked_for(tmp_path):
    path = write(tmp_path / "m.onnx", [node("GlobalAveragePool", ["x"], ["y"])], [value("x", "N", 3, "H", "W")])
    assert load_model(path, input_shape=(3, 6, 5)).input.shape == (1, 3, 6, 5)
    with pytest.raises(ModelError, match=r"takes the input 3x\?x\? and leaves sizes open. Give --input"):
        load_model(path)
    with pytest.raises(ModelError, match="--input 1x6x5 does not fit it"):
        load_model(path, input_shape=(1, 6, 5))


def test_weights_lie_in_the_file(tmp_path):
    path = write(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])])
    with pytest.raises(WeightsError, match=r"leave --weights w\.pth out"):
        load_model(path, weights=Path("w.pth"))


def test_external_data_beside_the_file(tmp_path):
    path = tmp_path / "m.onnx"
    write(path, [node("Conv", ["x", "w"], ["y"])], weights=[weight("w", 4, 3, 3, 3)])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert from_onnx(str(path)).module.get_parameter("w").shape == (4, 3, 3, 3)
    moved = shutil.copy(path, tmp_path / "moved" / "m.onnx") if (tmp_path / "moved").mkdir() is None else ""
    with pytest.raises(ModelError, match="Files of external data have to lie in the same folder"):
        from_onnx(str(moved))


def test_external_data_does_not_leave_the_folder(tmp_path):
    path = tmp_path / "inner" / "m.onnx"
    path.parent.mkdir()
    write(path, [node("Conv", ["x", "w"], ["y"])], weights=[weight("w", 4, 3, 3, 3)])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../w.bin"
    shutil.move(path.parent / "w.bin", tmp_path / "w.bin")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot be read as ONNX"):
        from_onnx(str(path))


@pytest.mark.parametrize(
    ("content", "message"), [(b"not a model", "cannot be read|not a valid"), (b"", "cannot be read|not a valid")]
)
def test_a_damaged_file_is_refused(content, message, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        from_onnx(str(path))


def test_a_file_that_is_not_there():
    with pytest.raises(ModelError, match=r"nowhere.onnx is not a file"):
        load_model("nowhere.onnx")


@pytest.mark.parametrize(
    ("spec", "expected"), [("a.onnx", True), ("a.onnx#out/1", True), ("a.pt2", False), ("a:b", False)]
)
def test_what_is_an_onnx_file(spec, expected):
    assert is_onnx(spec) is expected


TWO = [value("x", "N", 3, 8, 8), value("z", "N", 3, 8, 8)]
SCALE = [numpy_helper.from_array(np.array(0.1, np.float32), "s"), numpy_helper.from_array(np.array(0, np.uint8), "z")]
QUANTIZED = [
    node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quant"),
    node("DequantizeLinear", ["q", "s", "z"], ["y"]),
]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"nodes": QUANTIZED, "weights": SCALE},
            r"^QuantizeLinear \(node 'quant', opset 17\).*quantized already.*1 more",
        ),
        (
            {"nodes": [node("Fast", ["x"], ["y"], name="n", domain="my.ops")], "domains": ["my.ops"]},
            r"^my.ops.Fast \(node 'n', opset 1\).*no operator of ONNX itself",
        ),
        (
            {"nodes": [node("NonZero", ["x"], ["y"])]},
            r"^NonZero \(the node that makes 'y', opset 17\).*depends on the image",
        ),
        ({"nodes": [node("RandomNormalLike", ["x"], ["y"])]}, "random numbers cannot be deployed"),
        ({"nodes": [node("Det", ["x"], ["y"])]}, "give the PyTorch model itself"),
        (
            {"nodes": [node("Relu", ["x"], ["y"])], "inputs": [value("x", "N", 3, kind=TensorProto.INT64)]},
            "of type INT64; Pocketfit feeds floats",
        ),
        ({"nodes": [node("Relu", ["x"], ["y"])], "opset": 6}, "is of opset 6; allowed are 7 to"),
    ],
)
def test_what_cannot_be_turned_is_refused(parts, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        from_onnx(write(tmp_path / "m.onnx", **parts))


def test_a_size_that_depends_on_the_image_is_refused(tmp_path):
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["i"], to=TensorProto.INT64),
        node("Reshape", ["i", "one"], ["s"]),
        node("Reshape", ["x", "s"], ["y"], name="by_value"),
    ]
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    with pytest.raises(
        ModelError, match=r"Reshape \(node 'by_value', opset 17\): input 1 \('s'\) depends on the values"
    ):
        from_onnx(write(tmp_path / "m.onnx", nodes, weights=[one]))


def test_a_difference_names_the_first_node(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="first"),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "v"], ["y"], name="second"),
    ]
    path = write(tmp_path / "m.onnx", nodes, weights=[weight("w", 4, 3, 3, 3), weight("v", 2, 4, 3, 3)])
    module = from_onnx(path).module
    with torch.no_grad():
        module.get_parameter("v").mul_(1.01)
    with pytest.raises(ModelError, match=r"first difference is at Conv \(node 'second', opset 17\)"):
        check_parity(module, read_file(Path(path)), (3, 8, 8))
