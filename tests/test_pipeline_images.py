"""The whole job on photos: whose preprocessing it is, and what of it a bundle carries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketfit.bundle import Bundle, Outcome, read_bundle, verify_bundle
from pocketfit.contract import Classes, Contract, Crop, Kernel, Layout, ShorterSide
from pocketfit.data.options import Changes
from pocketfit.errors import OptionError
from pocketfit.pipeline import FitRequest, fit
from pocketfit.types import Budget, Precision

pytestmark = pytest.mark.slow

NET = """
import torch
from torch import nn
from pocketfit.contract import Contract, Crop, ShorterSide

def build():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    net.input_shape = (3, 8, 8)
    net.preprocess = Contract(resize=ShorterSide(10), crop=Crop((8, 8)), mean=(0.5,), std=(0.25,))
    return net
"""


@pytest.fixture
def request_of(tmp_path: Path):
    (tmp_path / "net.py").write_text(NET)
    noise = np.random.default_rng(0)
    for name in ("apple", "banana", "cherry"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(8):
            pixels = noise.integers(0, 256, (14, 17, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")

    def build(**changes: object) -> FitRequest:
        return FitRequest(
            model=f"{tmp_path / 'net.py'}:build",
            data=str(tmp_path / "photos"),
            out=tmp_path / "out",
            targets=("onnxruntime",),
            precisions=(Precision.FLOAT32,),
            budget=Budget(max_drop_points=100.0),
            cache=tmp_path / "cache",
            **changes,  # type: ignore[arg-type]
        )

    return build


def bundle_of(request: FitRequest) -> Bundle:
    fit(request)
    assert request.out is not None
    verified = verify_bundle(request.out)
    assert verified.preprocess is not None
    assert [check.outcome for check in (*verified.checks, verified.preprocess)] == [Outcome.PASSED] * 2
    return read_bundle(request.out)


LABELLED = Classes(labels=("apple", "banana", "cherry"))


def test_changes_are_made_to_what_the_model_says(request_of) -> None:
    bundle = bundle_of(request_of(preprocess=Changes({"kernel": Kernel.BICUBIC})))
    assert bundle.contract() == Contract(
        resize=ShorterSide(10),
        kernel=Kernel.BICUBIC,
        crop=Crop((8, 8)),
        mean=(0.5,),
        std=(0.25,),
        output=LABELLED,
    )


def test_preprocessing_inside_the_model(request_of) -> None:
    bundle = bundle_of(request_of(embed_preprocessing=True))
    assert bundle.contract() == Contract(
        resize=ShorterSide(10), crop=Crop((8, 8)), scale=1.0, layout=Layout.NHWC, output=LABELLED
    )
    (entry,) = bundle.manifest.artifacts
    assert (entry.input.dtype, entry.input.shape, entry.options["input-type"]) == ("uint8", (1, 8, 8, 3), "uint8")
    golden = bundle.golden_inputs()
    assert golden.shape[1:] == (8, 8, 3)
    assert np.array_equal(golden, golden.astype(np.uint8))


def test_preprocessing_inside_the_model_needs_images(request_of) -> None:
    with pytest.raises(OptionError, match="needs images"):
        fit(replace(request_of(embed_preprocessing=True), data=None))
