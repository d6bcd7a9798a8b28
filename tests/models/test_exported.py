"""`.pt2` files: good ones load, and none gets to run code."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketfit.contract import Contract, Crop, ShorterSide
from pocketfit.errors import ModelError, WeightsError
from pocketfit.graph.base import relative_error
from pocketfit.models import load_model
from pocketfit.models.exported import read_program
from pocketfit.models.quiet import quiet
from pocketfit.models.store import write_program

X = torch.zeros(2, 3, 8, 8)


def write(path: Path, module: nn.Module, inputs=(X,), dynamic=True) -> Path:
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs) if dynamic else None
    with quiet():
        torch.export.save(torch.export.export(module, inputs, dynamic_shapes=shapes), path)
    return path


def rewrite(path: Path, changes: dict) -> Path:
    """Replace members of the archive: bytes, or a function from JSON to JSON."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    folder = next(iter(members)).split("/")[0]
    for name, change in changes.items():
        full = f"{folder}/{name}"
        members[full] = json.dumps(change(json.loads(members[full]))).encode() if callable(change) else change
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def path(written, tmp_path):
    return Path(shutil.copy(written, tmp_path))


@pytest.fixture(scope="module")
def written(tiny, tmp_path_factory):
    return write(tmp_path_factory.mktemp("written") / "tiny.pt2", tiny())


def test_a_plain_file_is_the_model(path, tiny):
    model = load_model(str(path))
    assert (model.name, model.input.shape, model.dynamic_batch) == ("tiny", (1, 3, 8, 8), True)
    x = torch.randn(4, 3, 8, 8)
    assert relative_error(tiny()(x), model.graph(x)) < 1e-5  # batch-norm inside the weights rounds differently


def test_it_is_the_same_model_as_from_the_module(path, tiny, model):
    assert [n.name for n in load_model(str(path)).graph.graph.nodes] == [n.name for n in model.graph.graph.nodes]


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return {"logits": self.conv(x).view(x.shape[0], -1)}


def test_a_file_for_one_sample_takes_one(tmp_path):
    model = load_model(str(write(tmp_path / "fixed.pt2", Fixed().eval(), (X[:1],), dynamic=False)))
    assert model.graph(X[:1]).shape == (1, 144)
    assert model.output.shape == (1, 144)


def test_a_file_for_two_samples_is_refused(tmp_path):
    with pytest.raises(ModelError):
        load_model(str(write(tmp_path / "fixed.pt2", Fixed().eval(), (X,), dynamic=False)))


def test_a_size_that_is_not_fixed_is_refused(tmp_path):
    dynamic = torch.export.Dim.DYNAMIC
    program = torch.export.export(nn.Conv2d(3, 4, 3).eval(), (X,), dynamic_shapes=({0: dynamic, 2: dynamic},))
    torch.export.save(program, tmp_path / "any.pt2")
    with pytest.raises(ModelError, match="fixed input size"):
        load_model(str(tmp_path / "any.pt2"))


def test_training_mode_is_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match="eval mode"):
        load_model(str(write(tmp_path / "train.pt2", tiny().train())))


def test_weights_beside_it_are_refused(path):
    with pytest.raises(WeightsError, match="inside"):
        load_model(str(path), weights=Path("w.pth"))


class RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def pickled(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(((RunsCode(mark),), {}), buffer)
    return buffer.getvalue()


def use_pickle(config):
    next(iter(config["config"].values()))["use_pickle"] = True
    return config


def opaque(config):
    return {
        "config": {"evil": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}
    }


def target(name):
    def change(graph):
        graph["graph_module"]["graph"]["nodes"][0]["target"] = name
        return graph

    return change


def expression(text):
    def change(graph):
        return json.loads(json.dumps(graph).replace("Symbol('s", f"{text}+Symbol('s"))

    return change


def tree(type_name, context):
    def change(graph):
        spec = [1, {"type": type_name, "context": context, "children_spec": []}]
        graph["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps(spec)
        return graph

    return change


WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"
ATTACKS = {
    "pickled sample inputs": lambda mark: {"data/sample_inputs/model.pt": pickled(mark)},
    "pickled weight": lambda mark: {WEIGHTS: use_pickle, "data/weights/weight_0": pickled(mark)},
    "opaque constant": lambda mark: {
        CONSTANTS: opaque,
        "data/constants/opaque_obj_0": pickle.dumps(RunsCode(mark)),
    },
    "constant in disguise": lambda mark: {CONSTANTS: opaque},
    "legacy weights": lambda mark: {"data/weights/model.pt": pickled(mark)},
    "legacy constants": lambda mark: {"data/constants/model.pt": pickled(mark)},
    "compiled library": lambda mark: {"data/aotinductor/model/evil.so": b"\x7fELF"},
    "second model": lambda mark: {"models/other.json": b"{}"},
    "path that leaves the folder": lambda mark: {"../evil": b""},
    "function of torch": lambda mark: {GRAPH: target("torch.hub.load")},
    "function of operator": lambda mark: {GRAPH: target("_operator.attrgetter")},
    "operator that is not aten": lambda mark: {GRAPH: target("torch.ops.evil.run.default")},
    "attribute of an operator": lambda mark: {GRAPH: target("torch.ops.aten.relu.default._op.__init__")},
    "expression": lambda mark: {GRAPH: expression(f"__import__('os').mkdir('{mark}')")},
    "expression without dots": lambda mark: {GRAPH: expression("eval('1')")},
    "tree that imports": lambda mark: {
        GRAPH: tree("collections.defaultdict", json.dumps({"default_factory_module": "this", "x": "y"}))
    },
    "key that imports": lambda mark: {
        GRAPH: tree("builtins.dict", json.dumps([{"__enum__": True, "fqn": "this:s", "name": "x"}]))
    },
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_before_anything_is_loaded(path, tmp_path, attack):
    mark = tmp_path / "ran"
    rewrite(path, ATTACKS[attack](mark))
    with pytest.raises(ModelError, match=str(path)):
        read_program(path)
    assert not mark.exists()


def test_the_rewriting_itself_is_harmless(path):
    read_program(rewrite(path, {GRAPH: lambda graph: graph}))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_garbage(tmp_path, content):
    (tmp_path / "m.pt2").write_bytes(content)
    with pytest.raises(ModelError, match=r"torch\.export\.save"):
        read_program(tmp_path / "m.pt2")


@pytest.mark.parametrize("share", [0.2, 0.8, 0.99])
def test_truncated(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"damaged|holds no graph"):
        read_program(path)


def test_a_flipped_byte(path):
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        read_program(path)


@pytest.mark.parametrize("change", [lambda graph: {}, lambda graph: [], lambda graph: {"graph_module": 3}])
def test_a_graph_that_is_none(path, change):
    with pytest.raises(ModelError, match=str(path)):
        read_program(rewrite(path, {GRAPH: change}))


def test_another_zip_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("a/b.txt", "c")
    with pytest.raises(ModelError, match="no graph"):
        read_program(tmp_path / "m.pt2")


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match="not a file"):
        load_model(str(tmp_path / "m.pt2"))


def test_a_file_carries_its_preprocessing(path, tmp_path):
    contract = Contract(resize=ShorterSide(9), crop=Crop((8, 8)), mean=(0.485, 0.456, 0.406))
    model = load_model(str(path))
    assert model.preprocess is None
    write_program(replace(model, preprocess=contract), tmp_path / "told.pt2")
    assert load_model(str(tmp_path / "told.pt2")).preprocess == contract


@pytest.mark.parametrize("text", [b"{", b'{"shrink": 3}', b"\xff"])
def test_preprocessing_that_is_no_contract_is_refused(path, text):
    model = replace(load_model(str(path)), preprocess=Contract())
    write_program(model, path)
    with pytest.raises(ModelError, match=path.name):
        load_model(str(rewrite(path, {"extra/preprocess.json": text})))
