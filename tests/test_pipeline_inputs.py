"""The whole job on a model with several inputs: its data, its files, its bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketfit.bundle import Outcome, read_bundle, verify_bundle
from pocketfit.data.load import load_data
from pocketfit.errors import DataError, OptionError
from pocketfit.pipeline import FitRequest, fit
from pocketfit.rows import apart
from pocketfit.types import Budget, Precision, TensorSpec

pytestmark = pytest.mark.slow

NET = """
import torch
from torch import nn

class Net(nn.Module):
    input_shape = ((3, 8, 8), (4,))

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(8 + 4, 3)

    def forward(self, image, place):
        return self.head(torch.cat([self.maps(image).mean((2, 3)), place], 1))

def build():
    return Net()

def samples():
    random = torch.Generator().manual_seed(1)
    return [((torch.randn(3, 8, 8, generator=random), torch.randn(4, generator=random)), n % 3) for n in range(40)]

def wrong():
    return [torch.zeros(3, 8, 8)] * 40
"""
INPUTS = (TensorSpec("image", (1, 3, 8, 8)), TensorSpec("place", (1, 4)))


@pytest.fixture
def request_of(tmp_path: Path):
    (tmp_path / "net.py").write_text(NET)
    random = np.random.default_rng(0)
    arrays = {"image": random.standard_normal((40, 3, 8, 8)), "place": random.standard_normal((40, 4))}
    np.savez(tmp_path / "data.npz", **arrays, y=np.arange(40) % 3)

    def build(**changes: object) -> FitRequest:
        request = FitRequest(
            model=f"{tmp_path / 'net.py'}:build",
            data=str(tmp_path / "data.npz"),
            out=tmp_path / "out",
            targets=("onnxruntime", "litert", "ncnn", "mnn", "executorch"),
            precisions=(Precision.FLOAT32, Precision.INT8),
            budget=Budget(max_drop_points=100.0),
            keep_all=True,
            cache=tmp_path / "cache",
        )
        return replace(request, **changes)  # type: ignore[arg-type]

    return build


def test_from_data_to_a_bundle_that_verifies(request_of) -> None:
    result = fit(request_of())
    assert [given.shape for given in (result.input, *result.more_inputs)] == [one.shape for one in INPUTS]
    assert not [row.failure for row in result.candidates if row.failure]
    assert all(row.evidence.accuracy for row in result.candidates)
    bundle = read_bundle(request_of().out)
    assert [given.name for given in (bundle.manifest.input, *bundle.manifest.more_inputs)] == ["image", "place"]
    assert bundle.golden_inputs().shape[1:] == (3 * 8 * 8 + 4,)
    for entry in bundle.manifest.artifacts:
        given = bundle.artifact(entry).inputs
        assert [one.shape for one in given] == [one.shape for one in INPUTS], entry.title
    assert {check.outcome for check in verify_bundle(request_of().out).checks} == {Outcome.PASSED}


def test_without_data_noise_stands_in(request_of) -> None:
    result = fit(request_of(data=None, targets=("onnxruntime",), precisions=(Precision.FLOAT32,)))
    assert not [row.failure for row in result.candidates if row.failure]


def test_what_takes_pixels_has_one_input(request_of) -> None:
    with pytest.raises(OptionError, match=r"--embed-preprocessing is for models of one input; .* 2: 3x8x8\+4"):
        fit(request_of(embed_preprocessing=True))


def load(spec: str, tmp_path: Path):
    return load_data(spec, preprocess=None, input_shape=(196,), inputs=INPUTS, cache=tmp_path / "images")


def test_a_dataset_gives_tuples(request_of, tmp_path: Path) -> None:
    source = request_of().model.rpartition(":")[0]
    data = load(f"{source}:samples", tmp_path)
    assert data.evaluation.inputs.shape[1:] == (196,)
    assert [part.shape[1:] for part in apart(data.evaluation.inputs, INPUTS)] == [(3, 8, 8), (4,)]
    assert data.evaluation.labels is not None
    with pytest.raises(DataError, match=r"the model has 2 inputs: image 3x8x8, place 4\. Give a tuple"):
        load(f"{source}:wrong", tmp_path)


def test_what_an_npz_must_hold(tmp_path: Path) -> None:
    image, place = np.zeros((20, 3, 8, 8), np.float32), np.zeros((20, 4), np.float32)
    for arrays, message in (
        ({"x": image}, r"holds x, but no image, place\. .*Give an array for each under its name"),
        ({"image": image, "place": place[:, :3]}, "place in .* holds float samples of 3, the model takes 4"),
        ({"image": image, "place": place[:10]}, "different numbers of samples: image 20, place 10"),
    ):
        np.savez(tmp_path / "data.npz", **arrays)
        with pytest.raises(DataError, match=message):
            load(str(tmp_path / "data.npz"), tmp_path)
    with pytest.raises(DataError, match="digits holds images, which fill one input; the model has 2"):
        load("digits", tmp_path)
