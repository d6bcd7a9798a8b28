"""Every input that cannot be used: exit code 2, one message with what was got and what to do, and nothing half-written.

The message has to name the thing (a path, a value, a tensor) and to hold the words of what is allowed or to be done.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pocketfit.cli.app import run

Refused = Callable[..., str]


@pytest.fixture
def refused(net, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run `pocketfit fit` with some options changed, see that it refuses, and return what it says."""

    def refused(*extra: str, code: int = 2, **options: object) -> str:
        arguments: dict[str, object] = {
            "model": net.model,
            "weights": net.weights,
            "data": "digits",
            "targets": "onnxruntime",
            "out": tmp_path / "work" / "out",
            "cache": tmp_path / "work" / "cache",
        }
        arguments |= options
        model = str(arguments.pop("model"))
        line = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items() if value is not None]
        assert run(["fit", model, *line, *extra]) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        check_nothing_is_left(tmp_path / "work")
        (message,) = [part for part in printed.err.split("\npocketfit: ") if part][-1:]
        assert "Traceback" not in printed.err
        assert "bug" not in printed.err
        return " ".join(message.removeprefix("pocketfit: ").split())

    return refused


def check_nothing_is_left(work: Path) -> None:
    """No bundle, no part of one beside it, and nothing unfinished among the stages."""
    assert not (work / "out").exists()
    left = [path.relative_to(work).as_posix() for path in work.rglob("*")] if work.exists() else []
    assert not [name for name in left if "partial" in name or "unfinished" in name or name.endswith(".tmp")]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# Weights


def test_missing_weights(refused: Refused, tmp_path: Path) -> None:
    message = refused(weights=tmp_path / "nowhere.pth")
    assert "nowhere.pth is not a file" in message
    assert "Give the weights" in message


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_corrupt_weights(refused: Refused, net, tmp_path: Path, keep: int) -> None:
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(net.weights.read_bytes()[:keep])
    message = refused(weights=damaged)
    assert "damaged.pth cannot be read" in message
    assert "copy or download it again" in message


class Trap:
    """Unpickling this runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain pickle", "torch.save"])
def test_weights_that_want_to_run_code_do_not(refused: Refused, tmp_path: Path, wrapped: bool) -> None:
    proof = tmp_path / "the-code-ran"
    trap = {"features.0.weight": Trap(f"touch {proof}")}
    path = tmp_path / "trap.pth"
    if wrapped:
        torch.save(trap, path)
    else:
        path.write_bytes(pickle.dumps(trap))
    message = refused(weights=path)
    assert not proof.exists()
    assert "system" in message
    assert "never unpickles code" in message
    pickle.loads(pickle.dumps(trap))  # the trap is a real one
    assert proof.exists()


def test_weights_of_another_model(refused: Refused, tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(8, 3, 3, 3), "extra": torch.zeros(1)}, tmp_path / "other.pth")
    message = refused(weights=tmp_path / "other.pth")
    assert "features.0.weight (8x3x3x3, the model has 8x1x3x3)" in message
    assert "1 unexpected: extra" in message
    assert "missing: features.0.bias" in message


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(refused: Refused, net, tmp_path: Path, bad: float) -> None:
    state = torch.load(net.weights, weights_only=True)
    state["head.bias"][3] = bad
    torch.save(state, tmp_path / "diverged.pth")
    message = refused(weights=tmp_path / "diverged.pth")
    assert "NaN or infinity in head.bias" in message
    assert "before the training diverged" in message


# Models


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("nowhere.py:build", "nowhere.py is not a file"),
        ("no.such.module:build", "no module 'no.such.module'"),
        ("weights.pth", "file.py:factory --weights weights.pth"),
        ("net.py", "net.py:build"),
        ("gibberish", "Give package.module:factory"),
        ("missing.pt2", "missing.pt2"),
    ],
)
def test_models_that_are_not_there(refused: Refused, model: str, expected: str) -> None:
    assert expected in refused(model=model, weights=None)


def test_a_factory_that_fails(refused: Refused, tmp_path: Path) -> None:
    path = write(tmp_path / "failing.py", "def build():\n    raise KeyError('width')\n")
    message = refused(model=f"{path}:build", weights=None)
    assert "KeyError: 'width'" in message
    assert "failing.py, line 2" in message


def test_a_misspelt_factory(refused: Refused, net) -> None:
    assert "did you mean build?" in refused(model=net.model.replace(":build", ":buidl"))


def test_a_wrong_input_shape(refused: Refused) -> None:
    message = refused(input="3x9x9")
    assert "3x9x9" in message
    assert "--input" in message


def test_no_input_shape(refused: Refused, tmp_path: Path) -> None:
    path = write(tmp_path / "shapeless.py", "from torch import nn\ndef build():\n    return nn.Conv2d(1, 2, 3)\n")
    assert "--input 3x224x224" in refused(model=f"{path}:build", weights=None)


BRANCHES = """
from torch import nn

class Branches(nn.Module):
    input_shape = (1, 8, 8)

    def forward(self, x):
        if x.sum() > 0:
            return x.flatten(1)[:, :10]
        return x.flatten(1)[:, 10:20]
"""


def test_a_model_that_cannot_be_exported(refused: Refused, tmp_path: Path) -> None:
    path = write(tmp_path / "branches.py", BRANCHES)
    message = refused(model=f"{path}:Branches", weights=None)
    assert "branches.py, line 8" in message
    assert "torch.where" in message


# Data


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_is_not_finite(refused: Refused, tmp_path: Path, bad: float) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (20, 1, 8, 8)).astype(np.float32)
    x[7, 0, 3, 3] = bad
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(20) % 10)
    message = refused(data=tmp_path / "data.npz")
    assert "NaN or infinity in 1 samples, the first is number 7" in message


def test_an_overflow_inside_the_model_is_traced_to_its_tensor(refused: Refused, tmp_path: Path) -> None:
    x = np.full((20, 1, 8, 8), 3e38, np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(20) % 10)
    message = refused(data=tmp_path / "data.npz")
    assert "NaN or infinity in tensor" in message
    assert "input scaling" in message


def folder_of_images(root: Path, classes: tuple[str, ...], count: int = 6) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def test_an_empty_folder(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    message = refused(data=tmp_path / "photos")
    assert "photos holds no images" in message
    assert "one sub-folder a class" in message


def test_folders_without_images(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path / "photos" / "cat" / "notes.txt", "miaow")
    assert "photos holds no images in its sub-folders" in refused(data=tmp_path / "photos")


def test_one_class(refused: Refused, tmp_path: Path) -> None:
    photos = folder_of_images(tmp_path / "photos", ("cat",), 12)
    message = refused("--color=gray", data=photos)
    assert "one class only, cat" in message
    assert "at least two" in message


def test_one_class_in_an_array(refused: Refused, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((20, 1, 8, 8), np.float32), y=np.full(20, 3))
    assert "are of class 3" in refused(data=tmp_path / "data.npz")


def test_an_image_that_cannot_be_read(refused: Refused, tmp_path: Path) -> None:
    photos = folder_of_images(tmp_path / "photos", ("cat", "dog"))
    write(photos / "dog" / "broken.png", "not a picture")
    (photos / "cat" / "cut.png").write_bytes((photos / "cat" / "0.png").read_bytes()[:60])
    message = refused("--color=gray", data=photos)
    assert "2 of 14 images cannot be used" in message
    assert "dog/broken.png" in message
    assert "cat/cut.png" in message
    assert "Mend or remove them" in message


def test_images_of_another_size_than_the_model_takes(refused: Refused, tmp_path: Path) -> None:
    photos = folder_of_images(tmp_path / "photos", ("cat", "dog"))
    message = refused("--color=gray", "--resize=16", "--crop=12", data=photos)
    assert "become 1x12x12, the model takes 1x8x8" in message
    assert "--crop" in message


def test_too_few_samples(refused: Refused, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 1, 8, 8), np.float32), y=np.arange(4))
    message = refused(data=tmp_path / "data.npz")
    assert "holds 4 samples" in message
    assert "at least 8" in message


def test_labels_beyond_the_models_classes(refused: Refused, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((20, 1, 8, 8), np.float32), y=np.arange(20))
    message = refused(data=tmp_path / "data.npz")
    assert "from 0 to 19" in message
    assert "0 to 9" in message


def test_channels_last(refused: Refused, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((20, 8, 8, 1), np.float32))
    assert "transpose it to channels, height, width" in refused(data=tmp_path / "data.npz")


def test_an_array_of_objects_is_not_unpickled(refused: Refused, tmp_path: Path) -> None:
    proof = tmp_path / "the-code-ran"
    trap = np.array([Trap(f"touch {proof}")] * 9, dtype=object)
    np.savez(tmp_path / "data.npz", x=trap)
    assert "never unpickles objects" in refused(data=tmp_path / "data.npz")
    assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing more"], ids=["empty", "cut"])
def test_a_damaged_array(refused: Refused, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    message = refused(data=tmp_path / "data.npz")
    assert "data.npz cannot be read" in message
    assert "numpy.savez" in message


@pytest.mark.parametrize("data", ["nowhere", "nowhere.npz", "no_such_module:samples"])
def test_data_that_is_not_there(refused: Refused, data: str) -> None:
    assert data.split(":")[0] in refused(data=data)


# Options


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("max_drop", "much", "Write for example --max-drop 1%"),
        ("max_drop", "-1", "0 to 100 percentage points"),
        ("max_drop", "101%", "0 to 100 percentage points"),
        ("metric", "top1", "did you mean top-1?"),
        ("metric", "mae", "are int64 of shape"),
        ("max_size", "4 apples", "Write for example --max-size 4MB"),
        ("max_size", "0", "above zero"),
        ("targets", "onnxruntim", "Did you mean 'onnxruntime'?"),
        ("targets", "tflite,onnxruntime", "unknown runtime 'tflite'. Known here: onnxruntime, litert, ncnn"),
        ("targets", ",", "`pocketfit runtimes` lists them"),
        ("precisions", "int4", "Allowed: float32, float16, int8"),
        ("precisions", "", "Allowed: float32, float16, int8"),
        ("prefer", "beauty", "Allowed: size, latency"),
        ("input", "wide", "Write for example --input 3x224x224"),
        ("resize", "big", "Give pixels"),
        ("crop", "0", "allowed are 1 to 65535 pixels"),
        ("color", "cmyk", "Give rgb, bgr, gray"),
        ("scale", "1/0", "Give one such as 0.5 or 1/255"),
        ("mean", "2,2", "mean has 2 numbers; rgb takes 1 or 3"),
        ("std", "0", "a std of 1 leaves a channel as it is"),
        ("calibration_samples", "0", "Give 1 or more"),
        ("evaluation_samples", "-3", "Give 1 or more"),
        ("preprocess", "nowhere.json", "Give --preprocess a JSON file"),
        ("postprocess", "segments", "Give classes, boxes, embedding, or a .json file"),
        ("postprocess", "nowhere.json", "Give --postprocess a JSON file"),
        ("kernel", "lanczos", "Give nearest, bilinear, bicubic, box, area"),
        ("letterbox", "wide", "Give pixels"),
    ],
)
def test_values_that_are_not_allowed(refused: Refused, option: str, value: str, expected: str) -> None:
    message = refused(**{option: value})
    assert expected in message
    assert value.split(",")[0] in message


def test_an_option_that_does_not_exist(net, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", net.model, "--data", "digits", "-o", "out", "--max-dorp", "1%"]) == 2
    assert "--max-dorp" in capsys.readouterr().err


def test_a_runtime_that_is_not_installed(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketfit.runtimes._has", lambda package: package != "pnnx")
    message = refused(targets="onnxruntime,ncnn")
    assert "ncnn needs pnnx" in message
    assert 'pip install "pocketfit[ncnn]"' in message


def test_a_preprocessing_file_with_a_misspelt_field(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path / "preprocess.json", '{"reszie": 256}')
    message = refused(preprocess=tmp_path / "preprocess.json")
    assert "reszie" in message
    assert '"resize": {"kind": "shorter_side", "pixels": 256}' in message


# Outputs


def test_an_output_that_is_a_file(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path / "taken", "mine")
    message = refused(out=tmp_path / "taken")
    assert "taken is a file" in message
    assert "name another one" in message
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_output_below_a_file(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path / "taken", "mine")
    message = refused(out=tmp_path / "taken" / "out")
    assert "taken is no folder that can be written to" in message


def test_an_output_folder_with_other_things_in_it(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path / "thesis" / "chapter.tex", "years of work")
    message = refused(out=tmp_path / "thesis")
    assert "chapter.tex" in message
    assert "Name a new or empty folder" in message
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_a_cache_that_is_a_file(refused: Refused, tmp_path: Path) -> None:
    write(tmp_path / "taken", "mine")
    for cache in (tmp_path / "taken", tmp_path / "taken" / "below"):
        message = refused(cache=cache)
        assert "taken" in message
        assert "--cache" in message


def test_a_report_that_cannot_be_written(refused: Refused, tmp_path: Path) -> None:
    message = refused(report=tmp_path / "nowhere" / "report.html")
    assert "nowhere" in message
    assert "--report" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("option", ["out", "cache"])
def test_no_permission(refused: Refused, tmp_path: Path, option: str) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    message = refused(**{option: locked / "below"})
    assert "locked" in message
    assert "permission" in message.lower()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many bytes; needs the right to mount one."""
    mounted = []

    def mount(size: int) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("no right to mount a small disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=False)


def test_a_cache_on_a_full_disk(refused: Refused, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(10**6)
    message = refused(cache=disk / "cache")
    assert f"the disk of {disk}" in message
    assert "is full" in message
    assert "Free some" in message
    assert not [path for path in disk.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_an_output_on_a_full_disk(fitted, small_disk: Callable[[int], Path], capsys) -> None:
    disk = small_disk(10**6)  # the report alone takes five megabytes
    line = ["fit", fitted.net.model, "--weights", str(fitted.net.weights), "--data", "digits"]
    line += ["--targets", "onnxruntime", "--cache", str(fitted.cache), "-o", str(disk / "out")]
    assert run(line) == 2
    message = capsys.readouterr().err
    assert f"cannot write the bundle {disk / 'out'}: No space left on device" in message
    assert "free some space" in message
    assert list(disk.iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_fills_while_a_stage_is_stored(net, small_disk, tmp_path: Path) -> None:
    """In a process of its own, because native code that meets a full disk may end the process."""
    disk = small_disk(80 * 10**6)
    x = np.random.default_rng(0).uniform(0, 1, (400_000, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x)  # 102 MB, of which the held-out half goes into the store
    line = ["fit", net.model, f"--weights={net.weights}", f"--data={tmp_path / 'data.npz'}", "--targets=onnxruntime"]
    line += ["--precisions=float32", f"--cache={disk / 'cache'}", f"--out={tmp_path / 'out'}"]
    code = "import sys; from pocketfit.cli.app import run; raise SystemExit(run(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "is full" in done.stderr
    assert "Free some" in done.stderr
    assert not (tmp_path / "out").exists()
    assert not list((disk / "cache").glob("*/.unfinished*"))
