from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pocketfit.errors import WeightsError
from pocketfit.models.checkpoint import load_weights


class RunsCode:
    """A pickle that creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def same(module: nn.Module, other: nn.Module) -> bool:
    ours, theirs = module.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


FORMS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "best": 0.5},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "compiled": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "both": lambda state: {"state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}},
    "without counters": lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("form", FORMS)
def test_accepted_forms(tiny, tmp_path, form):
    trained, module = tiny(1), tiny(0)
    torch.save(FORMS[form](trained.state_dict()), tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert same(module, trained)


def test_safetensors(tiny, tmp_path):
    save_file(tiny(1).state_dict(), tmp_path / "w.safetensors")
    module = tiny(0)
    load_weights(module, tmp_path / "w.safetensors")
    assert same(module, tiny(1))


def test_a_module_whose_own_names_begin_like_a_prefix(tmp_path):
    trained = nn.ModuleDict({"module": nn.Linear(2, 2)})
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    module = nn.ModuleDict({"module": nn.Linear(2, 2)})
    load_weights(module, tmp_path / "w.pt")
    assert same(module, trained)


def test_half_precision_is_widened(tiny, tmp_path):
    torch.save(tiny(1).half().state_dict(), tmp_path / "w.pt")
    module = tiny(0)
    load_weights(module, tmp_path / "w.pt")
    assert same(module, tiny(1).half().float())


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_is_named_and_not_run(tiny, tmp_path, protocol):
    mark = tmp_path / "ran"
    torch.save({"state_dict": tiny().state_dict(), "x": RunsCode(mark)}, tmp_path / "w.pth", pickle_protocol=protocol)
    with pytest.raises(WeightsError, match=r"wants to import (posix|nt)\.mkdir.*never unpickles code"):
        load_weights(tiny(), tmp_path / "w.pth")
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_bare_pickle_is_named_and_not_run(tiny, tmp_path, protocol):
    mark = tmp_path / "ran"
    (tmp_path / "w.pt").write_bytes(pickle.dumps(RunsCode(mark), protocol=protocol))
    with pytest.raises(WeightsError, match=r"(posix|nt)\.mkdir"):
        load_weights(tiny(), tmp_path / "w.pt")
    assert not mark.exists()


def test_a_whole_model_is_a_pickle_too(tiny, tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        load_weights(tiny(), tmp_path / "w.pt")


def test_training_options_beside_the_weights_are_refused(tiny, tmp_path):
    torch.save({"state_dict": tiny().state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"argparse\.Namespace"):
        load_weights(tiny(), tmp_path / "w.pt")


def test_torchscript_is_told_apart(tiny, tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="TorchScript"):
        load_weights(tiny(), tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x80\x02}q", b"PK\x03\x04 no zip", bytes(500)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_garbage(tiny, tmp_path, content, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(tiny(), path)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated(tiny, tmp_path, share):
    torch.save(tiny().state_dict(), tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(tiny(), tmp_path / "w.pth")


def test_missing_file(tiny, tmp_path):
    with pytest.raises(WeightsError, match="not a file"):
        load_weights(tiny(), tmp_path / "nowhere.pth")


def test_folder(tiny, tmp_path):
    (tmp_path / "w.pth").mkdir()
    with pytest.raises(WeightsError, match="not a file"):
        load_weights(tiny(), tmp_path / "w.pth")


def test_unknown_suffix(tiny, tmp_path):
    with pytest.raises(WeightsError, match=r"\.safetensors"):
        load_weights(tiny(), tmp_path / "w.onnx")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}, torch.zeros(2)])
def test_no_state_dict(tiny, tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="without a state dict"):
        load_weights(tiny(), tmp_path / "w.pt")


def test_every_kind_of_misfit_is_listed(tiny, tmp_path):
    state = tiny().state_dict()
    for name in [name for name in state if name.startswith("stem")]:
        del state[name]
    state["extra"] = torch.zeros(2)
    state["head.weight"] = torch.zeros(10, 72)
    torch.save(state, tmp_path / "w.pt")
    module = tiny(3)
    with pytest.raises(WeightsError) as raised:
        load_weights(module, tmp_path / "w.pt")
    message = str(raised.value)
    assert "5 missing: stem.0.weight, stem.1.weight, stem.1.bias and 2 more" in message
    assert "1 unexpected: extra" in message
    assert "head.weight (10x72, the model has 4x72)" in message
    assert same(module, tiny(3))


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_values_that_are_not_finite_are_named(tiny, tmp_path, value):
    state = tiny().state_dict()
    state["blocks.0.norm.running_var"][2] = value
    torch.save(state, tmp_path / "w.pt")
    module = tiny(3)
    with pytest.raises(WeightsError, match=r"w\.pt holds NaN or infinity in blocks\.0\.norm\.running_var"):
        load_weights(module, tmp_path / "w.pt")
    assert same(module, tiny(3))
