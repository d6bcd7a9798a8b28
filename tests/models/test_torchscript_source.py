"""TorchScript files: traced, scripted and frozen ones load, and none gets to run code of its own."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pocketfit.errors import ModelError, WeightsError
from pocketfit.graph.base import relative_error
from pocketfit.models import load_model, source_of
from pocketfit.models.quiet import quiet
from pocketfit.models.torchscript_source import from_torchscript, is_torchscript

SHAPE = (3, 8, 8)
# Batch-norm inside the weights rounds differently.
TOLERANCE = 1e-5


class RunsCode:
    """What an attacker puts into a pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.mark),)


def write(path: Path, module: nn.Module, kind: str = "script", shape: tuple[int, ...] = SHAPE) -> Path:
    module = module.eval()
    with quiet(), torch.no_grad():
        made = torch.jit.trace(module, torch.rand(1, *shape)) if kind == "trace" else torch.jit.script(module)
        torch.jit.save(torch.jit.freeze(made) if kind == "freeze" else made, path)
    return path


@pytest.mark.parametrize("kind", ["trace", "script", "freeze"])
def test_a_file_is_the_model_that_was_written(kind, tiny, tmp_path):
    path = write(tmp_path / "net.ts", tiny(), kind)
    model, x = load_model(str(path), input_shape=SHAPE), torch.randn(3, *SHAPE)
    assert (model.name, model.output.shape, model.dynamic_batch) == ("net", (1, 4), True)
    assert relative_error(tiny()(x), model.graph(x)) < TOLERANCE


@pytest.mark.parametrize("kind", ["trace", "script"])
def test_it_has_the_layers_and_names_of_the_module(kind, tiny, model, tmp_path):
    loaded = load_model(str(write(tmp_path / "net.ts", tiny(), kind)), input_shape=SHAPE)
    layers = [(str(node.target), source_of(node)) for node in loaded.graph.graph.nodes if node.op == "call_function"]
    expected = [(str(node.target), source_of(node)) for node in model.graph.graph.nodes if node.op == "call_function"]
    assert layers == expected
    assert set(dict(loaded.graph.named_parameters())) == set(dict(model.graph.named_parameters()))


class Steps(nn.Module):
    """Branches, loops, lists and functions, as scripted code has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)])
        self.factor, self.names = 0.5, {"a": 1, "b": 2}

    def forward(self, x: torch.Tensor | list[torch.Tensor], scale: float = 2.0) -> torch.Tensor:
        x = x if isinstance(x, torch.Tensor) else torch.cat(x)
        found: list[torch.Tensor] = []
        by_name: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            x = F.relu(layer(x)) if x.dim() == 4 else x
            found.append(x * scale)
        by_name["last"] = x
        turn = 0
        while turn < len(found) and turn < self.names["b"]:
            x = x + found[turn][:, :, : x.shape[2]] * self.factor
            turn += 1
        height, width = x.shape[2] // 2, x.shape[3] // 2
        small = F.interpolate(x, size=[height, width], mode="bilinear", align_corners=False)
        return torch.cat([small.reshape(x.shape[0], -1), self.edge(by_name["last"])], dim=1)

    def edge(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0, 0]


@pytest.mark.parametrize("kind", ["trace", "script", "freeze"])
def test_python_decides_branches_and_loops(kind, tmp_path):
    net = Steps()
    model, x = load_model(str(write(tmp_path / "net.ts", net, kind)), input_shape=SHAPE), torch.randn(3, *SHAPE)
    assert model.dynamic_batch
    assert relative_error(net(x), model.graph(x)) < TOLERANCE


class Sizes(nn.Module):
    """Arithmetic on sizes, which tracing writes with tensors, and layers of every kind of convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.rows = nn.ConvTranspose2d(3, 4, 2, stride=2, output_padding=1, dilation=2), nn.Conv1d(4, 2, 3)
        self.lstm = nn.LSTM(2, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(x)
        count = x.shape[2] * x.shape[3] // 2 * 2
        rows = self.rows(x.flatten(2)[:, :, :count])
        return self.lstm(rows.transpose(1, 2))[0] / x.shape[3] ** 0.5


def test_arithmetic_on_sizes(tmp_path):
    net = Sizes()
    model, x = load_model(str(write(tmp_path / "net.ts", net, "trace")), input_shape=SHAPE), torch.randn(2, *SHAPE)
    with torch.no_grad():
        assert relative_error(net(x), model.graph(x)) < TOLERANCE


def test_what_a_checkpoint_suffix_holds(tiny, tmp_path):
    script = write(tmp_path / "net.pt", tiny())
    torch.save(tiny().state_dict(), tmp_path / "weights.pt")
    assert is_torchscript(str(script))
    assert not is_torchscript(str(tmp_path / "weights.pt"))
    assert not is_torchscript(str(tmp_path / "nowhere.pt"))
    assert load_model(str(script), input_shape=SHAPE).output.shape == (1, 4)
    with pytest.raises(ModelError, match="Weights alone do not say"):
        load_model(str(tmp_path / "weights.pt"), input_shape=SHAPE)


def test_the_input_has_to_be_given(tiny, tmp_path):
    path = str(write(tmp_path / "net.ts", tiny()))
    with pytest.raises(ModelError, match="--input 3x224x224"):
        load_model(path)
    with pytest.raises(ModelError, match="cannot be run with the input 3x9x9"):
        load_model(path, input_shape=(3, 9, 9))


def test_weights_lie_in_the_file(tiny, tmp_path):
    with pytest.raises(WeightsError, match="has its weights inside"):
        load_model(str(write(tmp_path / "net.ts", tiny())), weights=Path("w.pth"), input_shape=SHAPE)


class Two(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left + right


class ByValue(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            return x
        return -x


class ByTurns(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool(x.abs().max() > 1):
            x = x / 2
        return x


class Complains(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] != 4:
            raise ValueError("four channels please")
        return x


class Saves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "written.pt")
        return x


class Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("written.bin", True, 4).sum()


class HasState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.training = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        self.training = state


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Two, "takes 2 inputs: left, right"),
        (ByValue, r"^prim::If \(File .*branch that depends on the values"),
        (ByTurns, "loop that depends on the values"),
        (Complains, "cannot be run.*four channels please"),
        (Saves, "aten::save, which opens files"),
        (Maps, "aten::from_file, which opens files"),
        (HasState, "runs code while it is loaded"),
    ],
)
def test_refused(build, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "net.ts", build())
    with pytest.raises(ModelError, match=message):
        from_torchscript(path, SHAPE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.ts"]


def add_one(self, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    return output + 1


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_hooks(tmp_path):
    inner, outer, x = Around(), Around(), torch.randn(1, *SHAPE)
    inner.inner.register_forward_hook(add_one)
    outer.register_forward_hook(add_one)
    source = from_torchscript(write(tmp_path / "inner.ts", inner), SHAPE)
    assert torch.equal(source.module(x), torch.relu(x) + 1)
    with pytest.raises(ModelError, match="hooks around its forward"):
        from_torchscript(write(tmp_path / "outer.ts", outer), SHAPE)


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl"])
def test_pickled_code_is_not_run(member, tiny, tmp_path):
    source, path, mark = write(tmp_path / "net.ts", tiny()), tmp_path / "evil.ts", tmp_path / "ran"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as changed:
        for name in archive.namelist():
            evil = name.endswith(member)
            changed.writestr(name, pickle.dumps(RunsCode(mark), protocol=2) if evil else archive.read(name))
    with pytest.raises(ModelError, match="cannot be loaded by torch"):
        from_torchscript(path, SHAPE)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_garbage(content, tmp_path):
    (tmp_path / "net.ts").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as TorchScript"):
        load_model(str(tmp_path / "net.ts"), input_shape=SHAPE)


@pytest.mark.parametrize("share", [0.2, 0.8, 0.99])
def test_truncated(share, tiny, tmp_path):
    path = write(tmp_path / "net.ts", tiny())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="cannot be read as TorchScript"):
        load_model(str(path), input_shape=SHAPE)


def test_another_zip_file(tiny, tmp_path):
    torch.save(tiny().state_dict(), tmp_path / "net.ts")
    with pytest.raises(ModelError, match="holds no TorchScript"):
        load_model(str(tmp_path / "net.ts"), input_shape=SHAPE)


def test_a_file_that_is_not_there():
    with pytest.raises(ModelError, match=r"nowhere\.ts is not a file"):
        load_model("nowhere.ts", input_shape=SHAPE)
