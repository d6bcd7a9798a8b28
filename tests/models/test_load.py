"""From what a user writes to a model."""

from __future__ import annotations

import sys
import textwrap

import pytest
import torch

from pocketfit.contract import Contract, Crop
from pocketfit.errors import ModelError, WeightsError
from pocketfit.models import load_model

NET = """
    import torch
    from torch import nn
    from pocketfit.contract import Contract, Crop

    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())

    def described():
        net = build()
        net.input_shape = (3, 8, 8)
        net.preprocess = Contract(crop=Crop((8, 8)))
        return net

    class Odd(nn.Conv2d):
        input_shape = "large"
        def __init__(self): super().__init__(3, 4, 3)
        def preprocess(self): pass

    class Plain(nn.Conv2d):
        input_shape = [3, 6, 6]
        def __init__(self): super().__init__(3, 4, 3)
        def preprocess(self): pass

    ready = build()
    number = 3
    def returns_number(): return 3
    def needs(width): return build()
    def fails(): raise RuntimeError("no such file: w.bin")
    def leaves(): raise SystemExit(3)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "some_net.py").write_text(textwrap.dedent(NET))
    (tmp_path / "broken_net.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "wrong_net.py").write_text("def build(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("some_net", "broken_net", "wrong_net"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("spec", "name"), [("some_net.py:build", "some_net"), ("some_net:build", "some_net"), ("some_net:ready", "ready")]
)
def test_a_factory_by_file_or_by_module(folder, spec, name):
    model = load_model(spec, input_shape=(3, 8, 8))
    assert (model.name, model.source, model.output.shape) == (name, spec, (1, 144))


def test_a_name_can_be_given(folder):
    assert load_model("some_net.py:build", input_shape=(3, 8, 8), name="mine").name == "mine"


def test_a_file_in_another_folder_sees_its_neighbours(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "neighbour_net.py").write_text("WIDTH = 4\n")
    (folder / "deep" / "deep_net.py").write_text(
        "from torch import nn\nfrom neighbour_net import WIDTH\ndef build(): return nn.Conv2d(3, WIDTH, 3)\n"
    )
    assert load_model(str(folder / "deep" / "deep_net.py") + ":build", input_shape=(3, 8, 8)).output.shape[1] == 4


def test_metadata_of_the_module_is_used(folder):
    model = load_model("some_net.py:described")
    assert model.input.shape == (1, 3, 8, 8)
    assert model.preprocess == Contract(crop=Crop((8, 8)))
    assert load_model("some_net.py:described", input_shape=(3, 9, 9)).input.shape == (1, 3, 9, 9)


def test_a_method_of_that_name_is_not_metadata(folder):
    assert load_model("some_net.py:Plain").preprocess is None


def test_a_model_without_weights_is_the_same_in_every_run(folder):
    state = torch.random.get_rng_state()
    first, second = (load_model("some_net.py:build", input_shape=(3, 8, 8)).fingerprint for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), state)


def test_weights_are_loaded(folder):
    from torch import nn

    weights = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).state_dict()
    torch.save(weights, "w.pth")
    model = load_model("some_net.py:build", weights=folder / "w.pth", input_shape=(3, 8, 8))
    assert torch.equal(model.graph.get_parameter("0.weight"), weights["0.weight"])


REFUSED = {
    "some_net.py:buidl": r"no 'buidl'; did you mean build",
    "some_net.py:nothing_like_it_at_all": "no 'nothing_like_it_at_all'",
    "nowhere.py:build": r"nowhere\.py is not a file",
    "no_such_package:build": "no module 'no_such_package'",
    "no_such_package.deeper:build": "no module 'no_such_package.deeper'",
    "some_net.deeper:build": "cannot be imported",
    "broken_net.py:build": r"cannot be imported: ModuleNotFoundError.*broken_net\.py, line 1",
    "broken_net:build": "cannot be imported: ModuleNotFoundError",
    "wrong_net.py:build": "cannot be imported: SyntaxError",
    "some_net.py:number": "takes no arguments",
    "some_net.py:returns_number": r"returned a int; it has to return a torch\.nn\.Module",
    "some_net.py:needs": "width",
    "some_net.py:fails": r"RuntimeError: no such file: w\.bin.*some_net\.py, line \d+",
    "some_net.py:leaves": "SystemExit",
    "some_net.py:Odd": r"input_shape = 'large'.*\(3, 224, 224\)",
    "some_net.py:build": "--input 3x224x224",
    "some_net.py": r"some_net\.py:build",
    "weights.pth": r"file\.py:factory --weights weights\.pth",
    "resnet18": "timm:NAME",
    "model.tflite": r"model\.tflite is not there",
    "model.h5": r"\.pt2.*\.tflite",
    "model.onnx": r"model\.onnx is not a file",
    "": "is not a model",
    ":build": "is not a model",
    "some_net.py:": "is not a model",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_refused(folder, spec):
    with pytest.raises(ModelError, match=REFUSED[spec]):
        load_model(spec)


def test_weights_that_are_missing(folder):
    with pytest.raises(WeightsError, match=r"w\.pth is not a file"):
        load_model("some_net.py:build", weights=folder / "w.pth", input_shape=(3, 8, 8))
