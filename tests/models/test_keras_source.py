"""`.keras` files; Keras itself is needed for all but the refusals before it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pocketfit.errors import ModelError, WeightsError
from pocketfit.graph.base import relative_error
from pocketfit.models import load_model
from pocketfit.models.keras_layout import with_channels_first
from pocketfit.models.keras_source import TOLERANCE, from_keras

os.environ.setdefault("KERAS_BACKEND", "torch")


def network(keras, *, image: bool = False):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((16, 12, 3))
    x = layers.Rescaling(1 / 255.0)(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Concatenate()([x, layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)])
    if not image:
        x = layers.Dense(5, activation="softmax")(layers.Flatten()(x))
    model = keras.Model(inputs, x)
    # As after training: statistics that are not 0 and 1. Kernels stay: a softmax of huge sums magnifies rounding.
    for index, weight in enumerate(model.weights):
        if len(weight.shape) == 1:
            weight.assign(weight + 0.1 * (index + 1))
    return model


def answer(model, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result = torch.as_tensor(model(x.permute(0, 2, 3, 1), training=False))
    return result.permute(0, 3, 1, 2) if result.dim() == 4 else result


@pytest.mark.parametrize("image", [False, True])
def test_a_model_with_channels_last_comes_with_channels_first(image, tmp_path):
    keras = pytest.importorskip("keras")
    net = network(keras, image=image)
    net.save(tmp_path / "net.keras")
    model = load_model(str(tmp_path / "net.keras"))
    x = torch.rand(3, 3, 16, 12)
    calls = [str(call.target) for call in model.graph.graph.nodes if call.op == "call_function"]
    assert (model.input.shape, model.dynamic_batch) == ((1, 3, 16, 12), True)
    assert relative_error(answer(net, x), model.graph(x)) < TOLERANCE
    # Only what flattens an image counts its channels last, as the weights behind it do.
    assert sum("permute" in call for call in calls) == (0 if image else 1)
    assert not any("batch_norm" in call for call in calls)


def test_several_outputs_come_in_order(tmp_path):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 6, 3))
    maps = keras.layers.Conv2D(4, 3)(inputs)
    pooled = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(maps))
    net = keras.Model(inputs, [pooled, maps])
    net.save(tmp_path / "net.keras")
    model, x = load_model(str(tmp_path / "net.keras")), torch.rand(2, 3, 8, 6)
    assert [output.shape for output in model.outputs] == [(1, 5), (1, 4, 6, 4)]
    with torch.no_grad():
        expected = net(x.permute(0, 2, 3, 1))
    vector, image = model.graph(x)
    assert relative_error(expected[0], vector) < TOLERANCE
    assert relative_error(expected[1].permute(0, 3, 1, 2), image) < TOLERANCE
    assert not any("permute" in str(call.target) for call in model.graph.graph.nodes)


def test_what_goes_by_the_place_of_an_axis_is_permuted_around(tmp_path):
    keras = pytest.importorskip("keras")
    inputs = keras.Input((8, 6, 3))
    net = keras.Model(inputs, keras.layers.Permute((2, 1, 3))(keras.layers.Conv2D(4, 3)(inputs)))
    net.save(tmp_path / "net.keras")
    source, x = from_keras(tmp_path / "net.keras"), torch.rand(2, 3, 8, 6)
    assert torch.equal(source.module(x), answer(net, x))


def test_code_in_a_file_is_not_run(tmp_path):
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x * 2)]).save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match="Lambda layers"):
        load_model(str(tmp_path / "net.keras"))


def test_open_sizes(tmp_path):
    keras = pytest.importorskip("keras")
    open_sizes = keras.Input((None, None, 3))
    keras.Model(open_sizes, keras.layers.ReLU()(open_sizes)).save(tmp_path / "open.keras")
    assert from_keras(tmp_path / "open.keras", (3, 5, 4)).input_shape == (3, 5, 4)
    with pytest.raises(ModelError, match=r"takes the input 3x\?x\? and leaves sizes open"):
        from_keras(tmp_path / "open.keras")
    with pytest.raises(ModelError, match="--input 1x5x4 does not fit it"):
        from_keras(tmp_path / "open.keras", (1, 5, 4))


def test_a_damaged_file(tmp_path):
    pytest.importorskip("keras")
    (tmp_path / "net.keras").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded by Keras"):
        from_keras(tmp_path / "net.keras")


def test_a_file_that_is_not_there():
    with pytest.raises(ModelError, match=r"nowhere\.keras is not a file"):
        load_model("nowhere.keras")


def test_weights_lie_in_the_file():
    with pytest.raises(WeightsError, match="has its weights inside"):
        load_model("net.keras", weights=Path("w.pth"))


def test_axes_and_formats_are_renumbered():
    layer = {"class_name": "Conv2D", "config": {"data_format": "channels_last", "filters": 4}, "build_config": {}}
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 6, 3]}}
    joined = {"class_name": "Concatenate", "config": {"axis": -1}}
    turned = with_channels_first({"layers": [first, layer, joined]})["layers"]
    assert turned[0]["config"]["batch_shape"] == [None, 3, 8, 6]
    assert turned[1] == {"class_name": "Conv2D", "config": {"data_format": "channels_first", "filters": 4}}
    assert turned[2]["config"]["axis"] == 1
