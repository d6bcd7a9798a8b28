"""Models with several inputs, from every kind of source that can hold one."""

from __future__ import annotations

import textwrap
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from pocketfit.errors import ModelError, OptionError
from pocketfit.graph.base import relative_error
from pocketfit.graph.running import arguments, joined
from pocketfit.models import load_model
from pocketfit.models.canonical import canonicalise
from pocketfit.models.store import restore, save
from pocketfit.testing.models import ThreeInputs, build
from pocketfit.types import LoadedModel

SHAPES = ThreeInputs.input_shape
# Folded batch normalisations round differently.
TOLERANCE = 1e-5


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(7, 4)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.cat([left.mean((2, 3)), right], 1))


TWO = ((3, 6, 5), (4,))


def check(model: LoadedModel, net: nn.Module, batch: int = 3) -> None:
    """Against the module itself, given apart and as rows."""
    inputs = [torch.randn(batch, *given.shape[1:]) for given in model.inputs]
    with torch.no_grad():
        expected = net(*inputs)
        assert relative_error(expected, model.graph(*inputs)) < TOLERANCE
        rows = joined(inputs)
        assert rows.shape == (batch, *model.row_shape)
        assert relative_error(expected, model.graph(*arguments(model.graph, rows))) < TOLERANCE


def two() -> Two:
    torch.manual_seed(0)
    return Two().eval()


def test_a_module():
    net = build(ThreeInputs)
    model = canonicalise(net, SHAPES, name="three")
    assert [(one.name, one.shape) for one in model.inputs] == [
        ("before", (1, 3, 16, 16)),
        ("after", (1, 3, 16, 16)),
        ("state", (1, 5)),
    ]
    assert (model.input_shape, model.row_shape) == (SHAPES, (2 * 3 * 16 * 16 + 5,))
    assert model.dynamic_batch
    check(model, net)


def test_it_is_stored_and_found_again(tmp_path):
    model = canonicalise(two(), TWO, name="two")
    save(model, tmp_path)
    found = restore(tmp_path)
    assert (found.inputs, found.fingerprint) == (model.inputs, model.fingerprint)
    check(found, two())


def test_a_factory_that_says_its_shapes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        textwrap.dedent(
            """
            import torch

            class Two(torch.nn.Module):
                input_shape = ((3, 6, 5), (4,))

                def forward(self, left, right):
                    return left.mean((2, 3)) @ torch.ones(3, 4) * right

            def build():
                return Two()
            """
        )
    )
    model = load_model("net.py:build")
    assert model.input_shape == TWO
    assert load_model("net.py:build", input_shape=((3, 2, 2), (4,))).row_shape == (16,)
    with pytest.raises(ModelError, match=r"forward\(left, right\) cannot be called with 1 input\. .*3x224x224\+10"):
        load_model("net.py:build", input_shape=(3, 6, 5))
    with pytest.raises(ModelError, match=r"does not take the input 3x6x5\+5"):
        load_model("net.py:build", input_shape=((3, 6, 5), (5,)))


def test_torch_export(tmp_path):
    net, example = two(), (torch.zeros(2, 3, 6, 5), torch.zeros(2, 4))
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(net, example, dynamic_shapes=({0: batch}, {0: batch})), tmp_path / "two.pt2")
    model = load_model(str(tmp_path / "two.pt2"))
    assert model.input_shape == TWO
    check(model, net)


def test_torchscript(tmp_path):
    net = two()
    torch.jit.script(net).save(tmp_path / "two.ts")
    model = load_model(str(tmp_path / "two.ts"), input_shape=TWO)
    assert [given.name for given in model.inputs] == ["left", "right"]
    check(model, net)
    with pytest.raises(ModelError, match="takes 2 inputs: left, right; --input names 3"):
        load_model(str(tmp_path / "two.ts"), input_shape=(*TWO, (1,)))


def test_onnx(tmp_path):
    """As torch writes it, with a dynamic batch, and images with channels behind beside a vector."""
    net, path = two(), str(tmp_path / "two.onnx")
    batch = torch.export.Dim("batch")
    example = (torch.zeros(2, 3, 6, 5), torch.zeros(2, 4))
    torch.onnx.export(net, example, path, dynamo=True, dynamic_shapes=({0: batch}, {0: batch}), verbose=False)
    model = load_model(path)
    assert [(given.name, given.shape) for given in model.inputs] == [("left", (1, 3, 6, 5)), ("right", (1, 4))]
    check(model, net)
    with pytest.raises(ModelError, match=r"has 2 inputs: 'left', 'right'\. --input names 1"):
        load_model(path, input_shape=(3, 6, 5))


def test_onnx_with_names_of_its_own_and_channels_behind(tmp_path):
    nodes = [helper.make_node("ReduceMean", ["an.image"], ["m"], axes=[1, 2], keepdims=0)]
    nodes += [helper.make_node("Concat", ["m", "gps:0"], ["y"], axis=1)]
    values = [("an.image", ["N", 8, 10, 3]), ("gps:0", ["N", 2])]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values]
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])
    model = helper.make_model(
        helper.make_graph(nodes, "g", given, [answer]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    onnx.save(model, tmp_path / "m.onnx")
    loaded = load_model(str(tmp_path / "m.onnx"))
    assert [(one.name, one.shape) for one in loaded.inputs] == [("an_image", (1, 3, 8, 10)), ("gps_0", (1, 2))]
    image, place = torch.randn(2, 3, 8, 10), torch.randn(2, 2)
    assert torch.allclose(loaded.graph(image, place), torch.cat([image.mean((2, 3)), place], 1), atol=1e-6)


def test_keras(tmp_path):
    keras = pytest.importorskip("keras")
    image, state = keras.Input((8, 6, 3), name="image"), keras.Input((4,), name="state")
    maps = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3, padding="same")(image))
    net = keras.Model([image, state], keras.layers.Dense(2)(keras.layers.Concatenate()([maps, state])))
    net.save(tmp_path / "two.keras")
    model = load_model(str(tmp_path / "two.keras"))
    assert [(given.name, given.shape) for given in model.inputs] == [("image", (1, 3, 8, 6)), ("state", (1, 4))]
    x, s = torch.randn(2, 3, 8, 6), torch.randn(2, 4)
    with torch.no_grad():
        expected = net([x.permute(0, 2, 3, 1), s])
        assert relative_error(expected.detach(), model.graph(x, s)) < 1e-4  # other kernels


def test_an_input_that_nothing_reads_is_refused():
    class Unread(nn.Module):
        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return image.flatten(1) * 2

    with pytest.raises(ModelError, match="No output depends on the input mask"):
        canonicalise(Unread(), ((3, 4, 4), (1, 4, 4)), name="unread")


def test_what_takes_one_input_says_so():
    with pytest.raises(OptionError, match=r"timm:resnet18 is for models of one input; this one has 2: 3x64x64\+10"):
        load_model("timm:resnet18", input_shape=((3, 64, 64), (10,)))
