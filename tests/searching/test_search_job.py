"""Searches of a small network on digits, in this process, and what ends a candidate early."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketfit.devices.predict.limit import LatencyLimit
from pocketfit.devices.profile import find_profile
from pocketfit.errors import DataError, OptionError
from pocketfit.pipeline import FitRequest
from pocketfit.search.allowed import Allowed
from pocketfit.search.outcome import State
from pocketfit.search.space import Deployment, Point
from pocketfit.searching import SearchRequest, search_intentions
from pocketfit.searching.ground import read_ground
from pocketfit.searching.grounds import prepare_grounds
from pocketfit.searching.task import FEW, Answer, Job, evaluate
from pocketfit.stages import Nobody
from pocketfit.store import Store
from pocketfit.types import Precision

FLOAT32 = Deployment("onnxruntime", Precision.FLOAT32)


@pytest.fixture(scope="module")
def request_(fitted) -> FitRequest:
    """The finished run's, so that its stages are found."""
    return FitRequest(
        model=fitted.net.model,
        weights=fitted.net.weights,
        data="digits",
        targets=("onnxruntime",),
        cache=fitted.cache,
    )


@pytest.fixture(scope="module")
def ground(request_: FitRequest) -> Path:
    store = Store(request_.cache)  # type: ignore[arg-type]
    folders, _ = prepare_grounds(request_, Nobody(), store, smaller=True)
    assert list(folders) == [(1, 8, 8)]  # the digits are no files: no other resolution can be read
    return folders[1, 8, 8]


@pytest.fixture
def answer(request_: FitRequest, ground: Path) -> Callable[..., Answer]:
    asked = {"model": request_.model, "data": request_.data}

    def answer(macs: int, allowed: Allowed, deployment: Deployment = FLOAT32, **more: object) -> Answer:
        job = Job(Point(macs, (1, 8, 8), deployment), asked, "top-1", allowed, cache=request_.cache)
        return evaluate(replace(job, **more), ground)  # type: ignore[arg-type]

    return answer


@pytest.mark.slow
def test_the_whole_model_is_proved_against_itself(answer: Callable[..., Answer]) -> None:
    found = answer(100, Allowed(drop=1.0)).outcome

    assert found.state is State.PROVED and found.fits, found
    assert found.drop == 0
    assert found.samples > 2 * FEW
    assert found.size_bytes and found.latency_ms and found.parameters and found.macs


def test_weights_that_are_too_large_are_not_converted(answer: Callable[..., Answer]) -> None:
    found = answer(100, Allowed(drop=1.0, size_bytes=1000)).outcome

    assert found.state is State.STOPPED
    assert "its weights alone take" in found.reason
    assert found.size_bytes is None and found.parameters is not None


def test_a_phone_that_is_too_slow_is_known_before(answer: Callable[..., Answer]) -> None:
    phone = find_profile("xiaomi-mi-11")
    found = answer(100, Allowed(drop=1.0, latency_ms=1e-6), Deployment("ncnn", Precision.INT8), device=phone).outcome

    assert found.state is State.STOPPED
    assert "predicted latency" in found.reason
    assert found.latency_ms is not None and found.drop is None


def test_a_network_that_loses_too_much_is_not_converted(answer: Callable[..., Answer]) -> None:
    # Half of eight channels and of the hidden layer of random features cannot answer as the whole does.
    found = answer(30, Allowed(drop=-100.0)).outcome

    assert found.state is State.STOPPED
    assert found.samples == FEW
    assert found.size_bytes is None


def test_a_worker_elsewhere_sends_the_network(answer: Callable[..., Answer], monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POCKETFIT_CACHE", str(tmp_path))
    found = answer(50, Allowed(drop=1.0, size_bytes=1000), cache=None)

    assert found.network is not None
    assert answer(100, Allowed(drop=1.0, size_bytes=1000), cache=None).network is None


def test_a_ground_is_read_as_it_was_written(ground: Path) -> None:
    found = read_ground(ground)

    assert found.model.input.shape == (1, 1, 8, 8)
    assert len(found.floats) == len(found.data.evaluation.inputs)
    assert found.data.calibration.labels is None


def test_images_are_read_at_other_resolutions(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 40, 40, 3), dtype=np.uint8)
    for name, own in zip(("cats", "dogs"), images, strict=True):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, pixels in enumerate(own):
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "pooled.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
        "    net.input_shape = (3, 32, 32)\n    return net\n"
    )
    request = FitRequest(f"{tmp_path / 'pooled.py'}:build", str(tmp_path / "photos"), calibration_samples=5)

    folders, notes = prepare_grounds(request, Nobody(), Store(tmp_path / "cache"), smaller=True)

    assert (list(folders), notes) == ([(3, 32, 32), (3, 24, 24)], ())
    small = read_ground(folders[3, 24, 24])
    assert small.data.evaluation.inputs.shape[1:] == (24, 24, 3)
    assert np.array_equal(small.floats, read_ground(folders[3, 32, 32]).floats)


def test_data_without_labels_is_refused(net, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((8, 1, 8, 8), np.float32))
    request = FitRequest(net.model, str(tmp_path / "x.npz"), weights=net.weights, calibration_samples=2)

    with pytest.raises(DataError, match="has no labels"):
        prepare_grounds(request, Nobody(), Store(tmp_path / "cache"), smaller=False)


def test_a_phone_of_which_nothing_is_known_is_refused(request_: FitRequest, tmp_path: Path) -> None:
    phone = find_profile("xiaomi-mi-11")
    request = SearchRequest(
        replace(request_, targets=("executorch",), out=tmp_path / "out"), latency=LatencyLimit(math.inf, phone)
    )

    with pytest.raises(OptionError, match="no speed is known for executorch"):
        search_intentions(request)
