"""What runtimes say of their activation memory."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import numpy as np
import pytest

from pocketfit.cli.app import run
from pocketfit.models.load import load_model
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.activations import ask_runtime
from pocketfit.testing import Artifacts
from pocketfit.testing.models import Mixed
from pocketfit.types import MemoryTelling, Precision

NET = """
from torch import nn


def build():
    net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 4, 3, padding=1))
    net.input_shape = (3, 64, 64)
    return net
"""
# Of the widest tensor of NET.
WIDEST = 4 * 32 * 64 * 64


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path / 'net.py'}:build"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnxruntime", "litert", "mnn", "executorch"])
def test_more_than_the_output_is_told(name: str, artifacts_of: dict[str, Artifacts]) -> None:
    runtime, artifact = get_runtime(name), artifacts_of[name].get(Mixed, Precision.FLOAT32)
    assert isinstance(runtime, MemoryTelling)
    told = runtime.activation_memory(artifact)
    assert told is not None and told.how
    assert told.bytes >= prod(artifact.output.shape) * np.dtype(artifact.output.dtype).itemsize


@pytest.mark.slow
def test_onnxruntime_holds_the_widest_tensor(net: str) -> None:
    told = ask_runtime(load_model(net), get_runtime("onnxruntime"))
    assert told is not None
    # Beside it lie the other layer's result, in blocks of sixteen channels, and the input and output in another layout.
    assert WIDEST <= told.bytes <= 3 * WIDEST


@pytest.mark.slow
def test_inspect_shows_them_beside_the_plan(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", net, "--runtimes", "litert,ncnn", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runtimes"]["litert"]["bytes"] >= told["arena"]["lower_bound_bytes"] >= WIDEST
    assert told["runtimes"]["ncnn"] == {"bytes": None, "how": "it does not tell"}


def test_an_unknown_runtime_is_refused(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", net, "--runtimes", "nonsense"]) == 2
    assert "unknown runtime" in capsys.readouterr().err
