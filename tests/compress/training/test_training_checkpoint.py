from pathlib import Path

import pytest
import torch

from pocketfit.compress.training.checkpoint import load_checkpoint, save_checkpoint
from pocketfit.errors import OutputError, WeightsError


def test_a_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.pt"
    save_checkpoint(path, {"key": "k", "parameters": [torch.arange(3.0)], "log": [[0.5, 1.0]]})
    state = load_checkpoint(path, "k")
    assert state is not None
    assert torch.equal(state["parameters"][0], torch.arange(3.0))
    assert state["log"] == [[0.5, 1.0]]


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "state.pt", "k") is None


class Unwritable:
    """Fails while it is written, as a full disk does in the middle."""

    def __reduce__(self) -> object:
        raise OSError("no space")


def test_a_failed_write_leaves_the_old_state_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_checkpoint(path, {"key": "k", "step": 1})
    with pytest.raises(OutputError, match=r"state\.pt cannot be written: no space"):
        save_checkpoint(path, {"key": "k", "step": Unwritable()})
    state = load_checkpoint(path, "k")
    assert state is not None and state["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="name another file"):
        save_checkpoint(tmp_path / "file" / "state.pt", {"key": "k"})


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "state.pt", {"key": "k"})
    with pytest.raises(WeightsError, match=r"belongs to another training.*Delete it"):
        load_checkpoint(tmp_path / "state.pt", "other")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x04."])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(WeightsError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "state.pt", "k")


class Payload:
    """What a pickle could smuggle in."""

    def __reduce__(self) -> object:
        return (print, ("executed",))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"key": "k", "step": Payload()}, tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "state.pt", "k")
    assert "executed" not in capsys.readouterr().out
