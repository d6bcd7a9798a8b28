import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pocketfit.contract import Color, Contract, Crop, Exact
from pocketfit.errors import DataError, IsolationError, OptionError
from pocketfit.types import Samples
from pocketfit.verify.run import load_inputs, outputs_of, store_inputs

# ONNX Runtime and numpy add 64 float32 products in another order: a few units in the last place of values near 10.
LINEAR_TOLERANCE = 1e-4


def stored(folder: Path, inputs: np.ndarray, preprocess: Contract | None = None) -> Path:
    folder.mkdir()
    store_inputs(Samples(inputs, None, preprocess), folder)
    return folder


def test_float_inputs_are_taken_as_they_are(digits, tmp_path: Path) -> None:
    out = tmp_path / "outputs.npy"
    outputs_of(digits.artifact, stored(tmp_path / "in", digits.images), out)
    outputs = np.load(out)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, digits.logits, atol=LINEAR_TOLERANCE)


def test_uint8_inputs_get_the_numeric_half_of_the_preprocessing(digits, tmp_path: Path) -> None:
    pixels = np.round(digits.images * 16).astype(np.uint8).transpose(0, 2, 3, 1)
    spec = Contract(color=Color.GRAY, scale=1 / 16)
    out = tmp_path / "outputs.npy"
    outputs_of(digits.artifact, stored(tmp_path / "in", pixels.repeat(3, axis=3), spec), out)
    np.testing.assert_allclose(np.load(out), digits.logits, atol=LINEAR_TOLERANCE)


def test_kernels_are_reported(digits, tmp_path: Path) -> None:
    kernels = outputs_of(digits.artifact, stored(tmp_path / "in", digits.images[:2]), tmp_path / "outputs.npy")
    assert (kernels.int8, kernels.total) == (0, 1)


def test_only_the_outputs_are_left_behind(digits, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    outputs_of(digits.artifact, stored(tmp_path / "in", digits.images[:2]), folder / "outputs.npy")
    assert [path.name for path in folder.iterdir()] == ["outputs.npy"]


def test_progress_counts_samples(digits, tmp_path: Path) -> None:
    many = np.tile(digits.images, (600, 1, 1, 1))  # long enough for a few reports
    counts: list[int] = []
    outputs_of(digits.artifact, stored(tmp_path / "in", many), tmp_path / "outputs.npy", progress=counts.append)
    assert sum(counts) == len(many)
    assert len(counts) > 1


def test_the_preprocessing_survives_storing(tmp_path: Path) -> None:
    spec = Contract(resize=Exact((9, 8)), crop=Crop((8, 8)), color=Color.BGR, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    inputs, restored = load_inputs(stored(tmp_path / "in", np.zeros((2, 8, 8, 3), np.uint8), spec))
    assert restored == spec
    assert isinstance(inputs, np.memmap)


def test_a_damaged_artifact_is_an_error_and_leaves_nothing(digits, tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(IsolationError, match="Protobuf"):
        outputs_of(
            dataclasses.replace(digits.artifact, files=(broken,)),
            stored(tmp_path / "in", digits.images[:2]),
            tmp_path / "outputs.npy",
        )
    assert not (tmp_path / "outputs.npy").exists()


def test_an_input_of_another_shape_is_an_error(digits, tmp_path: Path) -> None:
    with pytest.raises(IsolationError, match="invalid dimensions"):
        outputs_of(digits.artifact, stored(tmp_path / "in", np.zeros((2, 1, 9, 9), np.float32)), tmp_path / "out.npy")


def test_no_sample_is_an_error(digits, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sample"):
        outputs_of(digits.artifact, stored(tmp_path / "in", digits.images[:0]), tmp_path / "out.npy")


def test_an_unknown_runtime_is_an_error(digits, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unknown runtime 'abacus'"):
        outputs_of(
            dataclasses.replace(digits.artifact, runtime="abacus"),
            stored(tmp_path / "in", digits.images[:2]),
            tmp_path / "out.npy",
        )
