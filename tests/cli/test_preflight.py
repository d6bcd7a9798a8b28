import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run
from pocketfit.models.load import load_model
from pocketfit.preflight import support

NET = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(F.silu(self.one(x)).mean((2, 3)))
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return f"{path}:Net"


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT refuses one op, and takes what it can be rewritten into."""
    table = support._table()
    taken = {op: {"litert": ""} for op in ("aten.sigmoid.default", "aten.mul.Tensor", "aten.exp.default")}
    ops = {**table.ops, **taken, "aten.silu.default": {"litert": "Lowering not found: aten.silu.default"}}
    monkeypatch.setattr(support, "_table", lambda: support._Table(table.versions, ops))


def test_every_runtime_and_delegate_has_a_row(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", net, "--input", "3x8x8"]) == 0
    text = capsys.readouterr().out
    for words in ("onnxruntime", "coreml", "litert gpu", "ncnn vulkan", "partitions", "not a measurement"):
        assert words in text


def test_a_refused_op_is_named_with_its_line(net: str, refusing: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", net, "--input", "3x8x8", "--targets", "litert"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "silu" in text
    assert "net.py:12" in text
    assert "refused: litert" in text
    assert "--replace silu" in text


def test_json_holds_all_of_it(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", net, "--input", "3x8x8", "--targets", "litert,ncnn", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["runtime"] for one in found["runtimes"]] == ["litert", "ncnn"]
    assert found["runtimes"][0]["ops"] == 4
    assert found["runtimes"][0]["delegates"][0]["partitions"]["count"] == 2
    assert found["tried_with"]["torch"]


def test_the_rewritten_model_can_be_loaded(
    net: str, refusing: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rewritten.pt2"
    assert run(["preflight", net, "--input", "3x8x8", "--targets", "litert", "--rewrite", str(path)]) == 0
    assert "without aten.silu.default" in capsys.readouterr().out
    ops = {str(node.target) for node in load_model(str(path)).graph.graph.nodes}
    assert "aten.conv2d.default" in ops
    assert "aten.silu.default" not in ops


@pytest.mark.parametrize("name", ["rewritten.onnx", "nowhere/rewritten.pt2"])
def test_a_file_that_cannot_be_written_is_refused_first(
    net: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["preflight", net, "--input", "3x8x8", "--rewrite", str(tmp_path / name)]) == 2
    assert "--rewrite" in capsys.readouterr().err


def test_nothing_to_rewrite_is_said(net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rewritten.pt2"
    assert run(["preflight", net, "--input", "3x8x8", "--targets", "ncnn", "--rewrite", str(path)]) == 2
    assert "no rewrite is offered" in capsys.readouterr().err
    assert not path.exists()
