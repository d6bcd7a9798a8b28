"""SavedModels and .tflite files; TensorFlow, in processes of its own, is needed for all but the refusals before it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketfit.errors import ModelError, RuntimeMissing, WeightsError
from pocketfit.graph.base import relative_error
from pocketfit.models import load_model
from pocketfit.models.from_tensorflow import worker
from pocketfit.models.tensorflow_source import TOLERANCE, from_tensorflow, is_tensorflow

INSTALLED = importlib.util.find_spec("tensorflow") is not None and importlib.util.find_spec("tf2onnx") is not None
needs_tensorflow = pytest.mark.skipif(not INSTALLED, reason="TensorFlow and tf2onnx are an extra")

# Importing TensorFlow beside the converters that other tests use would end the process.
WRITE = """
import sys
import numpy as np
import tensorflow as tf

tf.random.set_seed(0)
folder, random = sys.argv[1], np.random.default_rng(0)
kernel = tf.Variable(random.standard_normal((3, 3, 3, 4)).astype("float32"))
dense = tf.Variable(random.standard_normal((4, 5)).astype("float32"))
image = tf.TensorSpec((None, 8, 6, 3), tf.float32, name="image")


class Net(tf.Module):
    def __init__(self):
        self.kernel, self.dense = kernel, dense

    @tf.function(input_signature=[image])
    def maps(self, image):
        return {"maps": tf.nn.relu6(tf.nn.conv2d(image, self.kernel, 2, "SAME"))}

    @tf.function(input_signature=[image])
    def scores(self, image):
        maps = tf.nn.relu(tf.nn.conv2d(image / 255.0 - 0.5, self.kernel, 1, "VALID"))
        return {"maps": maps, "scores": tf.nn.softmax(tf.reduce_mean(maps, (1, 2)) @ self.dense)}

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def any_size(self, image):
        return tf.nn.conv2d(image, self.kernel, 1, "SAME")

    @tf.function(input_signature=[image, tf.TensorSpec((None, 5), tf.float32, name="state")])
    def two(self, image, state):
        maps = tf.nn.relu(tf.nn.conv2d(image, self.kernel, 1, "VALID"))
        return tf.reduce_mean(maps, (1, 2)) @ self.dense - state


class Reads(tf.Module):
    @tf.function(input_signature=[image])
    def reads(self, image):
        return image + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


net = Net()
for name in ("maps", "scores", "any_size", "two"):
    tf.saved_model.save(net, f"{folder}/{name}", signatures=getattr(net, name))
tf.saved_model.save(Reads(), f"{folder}/reads", signatures=Reads().reads)
tf.saved_model.save(net, f"{folder}/nameless", signatures={"a": net.maps, "b": net.scores})
example = random.random((2, 8, 6, 3)).astype("float32")
state = random.random((2, 5)).astype("float32")
np.savez(f"{folder}/answers.npz", image=example, state=state, two=net.two(example, state), **net.scores(example))
for name in ("maps", "two", "int8"):
    function = net.two if name == "two" else net.maps
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], net)
    if name == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([example[:1]] for _ in range(2))
    open(f"{folder}/{name}.tflite", "wb").write(converter.convert())
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tensorflow")
    (folder / "write.py").write_text(WRITE)
    subprocess.run([sys.executable, "-P", str(folder / "write.py"), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def answers(written) -> dict[str, torch.Tensor]:
    with np.load(written / "answers.npz") as content:
        known = {name: torch.from_numpy(content[name]) for name in content.files}
    return {name: value.permute(0, 3, 1, 2) if value.dim() == 4 else value for name, value in known.items()}


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("output", ["scores", "maps"])
def test_a_saved_model_with_one_of_its_outputs(output, written, answers):
    model = load_model(f"{written / 'scores'}#{output}")
    assert (model.name, model.input.shape, model.dynamic_batch) == ("scores", (1, 3, 8, 6), True)
    assert relative_error(answers[output], model.graph(answers["image"])) < TOLERANCE


@needs_tensorflow
@pytest.mark.slow
def test_a_saved_model_with_all_of_its_outputs(written, answers):
    model = load_model(str(written / "scores"))
    wanted = {answers[name].shape[1:]: answers[name] for name in ("maps", "scores")}
    got = model.graph(answers["image"])
    assert len(got) == len(wanted) == len(model.outputs)
    for values in got:
        assert relative_error(wanted[values.shape[1:]], values) < TOLERANCE


@needs_tensorflow
@pytest.mark.slow
def test_a_lite_file_is_the_model_it_was_made_from(written):
    saved, lite = load_model(str(written / "maps")), load_model(str(written / "maps.tflite"))
    x = torch.randn(2, 3, 8, 6)
    assert (lite.name, lite.input.shape, lite.output.shape) == ("maps", (1, 3, 8, 6), (1, 4, 4, 3))
    assert relative_error(saved.graph(x), lite.graph(x)) < TOLERANCE
    # Channels first throughout: nothing is transposed.
    assert not any("permute" in str(node.target) for model in (saved, lite) for node in model.graph.graph.nodes)


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("name", ["two", "two.tflite"])
def test_several_inputs(name, written, answers):
    model = load_model(str(written / name))
    by_shape = {values.shape[1:]: values for values in (answers["image"], answers["state"])}
    assert sorted(given.shape for given in model.inputs) == [(1, 3, 8, 6), (1, 5)]
    got = model.graph(*(by_shape[given.shape[1:]] for given in model.inputs))
    assert relative_error(answers["two"], got) < TOLERANCE


@needs_tensorflow
@pytest.mark.slow
def test_open_sizes_are_asked_for(written):
    with pytest.raises(ModelError, match=r"any_size takes the input 3x\?x\? and leaves sizes open"):
        from_tensorflow(str(written / "any_size"))
    assert load_model(str(written / "any_size"), input_shape=(3, 5, 7)).output.shape == (1, 4, 5, 7)


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reads", "ReadFile .*reaches outside the model"),
        ("nameless", r"2 signatures \(a, b\) and none is called serving_default"),
        ("int8.tflite", r"int8\.tflite is quantized already .*give the float \.tflite"),
    ],
)
def test_refused(name, message, written):
    with pytest.raises(ModelError, match=message):
        from_tensorflow(str(written / name))


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("name", ["net.tflite", "saved/saved_model.pb"])
def test_a_damaged_file(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    path = tmp_path / name if name.endswith("tflite") else tmp_path / "saved"
    with pytest.raises(ModelError, match="The file is damaged"):
        from_tensorflow(str(path))


@pytest.mark.skipif(INSTALLED, reason="TensorFlow is there")
def test_what_to_install(tmp_path):
    (tmp_path / "net.tflite").write_bytes(b"")
    with pytest.raises(RuntimeMissing, match=r"pocketfit\[tensorflow\]"):
        load_model(str(tmp_path / "net.tflite"))


def test_what_is_a_file_of_tensorflow(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert is_tensorflow(str(tmp_path))
    assert is_tensorflow(f"{tmp_path}#scores")
    assert is_tensorflow("net.tflite#scores")
    assert not is_tensorflow(str(tmp_path.parent))
    assert not is_tensorflow("net.onnx")


def test_a_file_that_is_not_there():
    with pytest.raises(ModelError, match=r"nowhere\.tflite is not there"):
        load_model("nowhere.tflite")


def test_weights_lie_in_the_file():
    with pytest.raises(WeightsError, match="has its weights inside"):
        load_model("net.tflite", weights=Path("w.pth"))


@pytest.mark.parametrize(
    ("sizes", "given", "expected"),
    [
        ([None, 8, 6, 3], None, [1, 8, 6, 3]),
        ([None, None, None, 3], None, [1, None, None, 3]),
        ([None, None, None, 3], [3, 8, 6], [1, 8, 6, 3]),
        ([1, 3, 8, 6], [3, 8, 6], [1, 3, 8, 6]),
        ([None, None, 40], [10, 40], [1, 10, 40]),
    ],
)
def test_open_sizes_are_filled_in(sizes, given, expected):
    assert worker._filled(sizes, given) == expected
