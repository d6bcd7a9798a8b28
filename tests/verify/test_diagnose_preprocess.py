"""Every fault injected into small pipelines, with the noise of another decoder: told from tensors and from outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import nn

from pocketfit.contract import Color, Contract, Crop, Exact, Kernel, Layout, Letterbox, ShorterSide
from pocketfit.data.faults import FAULTS, Fault, together
from pocketfit.errors import DataError
from pocketfit.verify.preprocess import Diagnosis, diagnose_preprocess

SPECS = {
    "imagenet": Contract(
        resize=ShorterSide(36), crop=Crop((32, 32)), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    ),
    "half": Contract(resize=ShorterSide(36), crop=Crop((32, 32)), mean=(0.5,), std=(0.5,)),
    "unit": Contract(resize=Exact((36, 40)), crop=Crop((32, 32))),
    "bgr": Contract(
        resize=ShorterSide(36), crop=Crop((32, 32)), color=Color.BGR, scale=1.0, mean=(90.0, 110.0, 130.0), std=(60.0,)
    ),
}
Run = Callable[[np.ndarray], np.ndarray]

RIGHT = Fault("", "")
IMAGES = 10


class Simulated(Fault):
    """A fault whose inputs are known already: the tests ask for the same ones again and again."""

    def inputs(self, images, spec):
        return simulated(self.name, spec)


@cache
def photos() -> tuple[np.ndarray, ...]:
    """Parts of two photographs, upright and lying."""
    pictures = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    generator = np.random.default_rng(0)
    parts = []
    for number in range(IMAGES):
        height = int(generator.integers(60, 110))
        width = int(height * (1.4 if number % 3 else 0.75))
        top, left = generator.integers(0, 427 - height), generator.integers(0, 640 - width)
        parts.append(pictures[number % 2][top : top + height, left : left + width])
    return tuple(parts)


@cache
def decoded_elsewhere() -> tuple[np.ndarray, ...]:
    """As another decoder gives them: each pixel a level more or less."""
    generator = np.random.default_rng(1)
    noise = [generator.integers(-1, 2, image.shape) for image in photos()]
    return tuple(
        np.clip(image + levels, 0, 255).astype(np.uint8) for image, levels in zip(photos(), noise, strict=True)
    )


@cache
def simulated(name: str, spec: Contract) -> np.ndarray:
    return next(fault for fault in (*FAULTS, RIGHT) if fault.name == name).inputs(photos(), spec)


@cache
def given(name: str, spec: Contract) -> np.ndarray:
    return next(fault for fault in (*FAULTS, RIGHT) if fault.name == name).inputs(decoded_elsewhere(), spec)


@cache
def network(seed: int) -> Run:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
        layers += [nn.Conv2d(16, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 24, 3, 2, 1), nn.ReLU()]
        module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))
        module(torch.randn(16, 3, 32, 32))
        module.eval()

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            outputs: np.ndarray = module(torch.from_numpy(batch)).numpy()
        return outputs

    return run


def rounded(outputs: np.ndarray, share: float) -> np.ndarray:
    """Off by as much as an INT8 runtime: noise as a share of the spread over the images."""
    noise = np.random.default_rng(2).normal(size=outputs.shape)
    return outputs + share * outputs.std(axis=0).mean() * noise


def diagnosis(name: str, spec: Contract, run: Callable[[np.ndarray], np.ndarray] | None, share: float) -> Diagnosis:
    app = given(name, spec)
    if run is not None:
        app = rounded(run(app), share)
    faults = [Simulated(**vars(fault)) for fault in FAULTS]
    return diagnose_preprocess(photos(), spec, app, run, faults=faults)


def injected(spec: Contract) -> list[str]:
    """The faults that do anything to these images."""
    right = simulated("", spec)
    return [fault.name for fault in FAULTS if not np.array_equal(simulated(fault.name, spec), right)]


@pytest.mark.parametrize("name", SPECS)
def test_tensors_tell_every_fault(name: str) -> None:
    spec = SPECS[name]
    assert not diagnosis("", spec, None, 0).differs
    names = injected(spec)
    assert len(names) >= 27
    for fault in names:
        result = diagnosis(fault, spec, None, 0)
        assert result.differs
        assert fault in (result.named, *result.alike)


@pytest.mark.parametrize("share", [0.0, 0.05])
@pytest.mark.parametrize("name", SPECS)
def test_outputs_tell_nine_of_ten_faults(name: str, share: float) -> None:
    spec, run = SPECS[name], network(0)
    assert not diagnosis("", spec, run, share).differs
    found = {fault: diagnosis(fault, spec, run, share) for fault in injected(spec)}
    # On ten images these change the outputs of a network by no more than INT8 does.
    slight = {"bicubic", "box", "no-antialias", "yuv-matrix"}
    unseen = {fault for fault, result in found.items() if not result.differs}
    assert unseen <= (slight if share else set())
    named = [fault for fault, result in found.items() if fault in (result.named, *result.alike)]
    assert len(named) >= 0.9 * len(found)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_the_right_preprocessing_is_no_fault(seed: int, share: float) -> None:
    for spec in SPECS.values():
        assert not diagnosis("", spec, network(seed), share).differs


def test_what_it_says() -> None:
    result = diagnosis("channel-order", SPECS["half"], None, 0)
    assert str(result) == (
        "The app prepares images wrongly: channel-order. "
        "Red and blue are swapped: BGR is given for RGB, or RGB for BGR."
    )
    assert next(iter(result.scores)) == "channel-order"
    # The noise of the decoder, in levels of a pixel.
    assert result.scores["channel-order"] < 1 < result.error
    assert str(diagnosis("", SPECS["half"], None, 0)) == "The app prepares images as the model needs it."


def test_faults_that_do_the_same_are_named_together() -> None:
    square = [image[:60, :60] for image in photos()[1:3]]
    spec = Contract(resize=ShorterSide(36), crop=Crop((32, 32)))
    app = next(fault for fault in FAULTS if fault.name == "no-margin").inputs(square, spec)
    result = diagnose_preprocess(square, spec, app)
    assert (result.named, result.alike) == ("squash", ("no-margin", "letterbox"))
    assert str(result).endswith("On these images that is the same as no-margin, letterbox.")


def test_an_unknown_fault_is_told_without_a_name() -> None:
    spec = SPECS["half"]
    app = np.where(np.indices((32, 32)).sum(axis=0) % 2, given("", spec), np.float32(0))
    result = diagnose_preprocess(photos(), spec, app)
    assert (result.differs, result.named) == (True, "")
    assert "no known fault explains" in str(result)


@pytest.mark.parametrize("run", [None, network(0)])
@pytest.mark.parametrize(
    ("first", "second"), [("channel-order", "unit-range"), ("squash", "raw-range"), ("mirrored", "no-antialias")]
)
def test_two_faults_at_once_are_both_named(first: str, second: str, run: Run | None) -> None:
    spec, by_name = SPECS["imagenet"], {fault.name: fault for fault in FAULTS}
    both = together(by_name[first], by_name[second])
    assert both is not None
    app = both.inputs(decoded_elsewhere(), spec)
    result = diagnose_preprocess(photos(), spec, app if run is None else run(app), run)
    assert set(result.named.split(" + ")) == {first, second}
    assert result.meaning.startswith(by_name[result.named.split(" + ")[0]].meaning)


def test_the_allowed_error_is_the_users() -> None:
    spec = SPECS["half"]
    off = simulated("", spec) + np.float32(2 / 127.5)
    assert not diagnose_preprocess(photos(), spec, off, faults=()).differs
    strict = diagnose_preprocess(photos(), spec, off, faults=(), allowed=1.5)
    assert strict.differs and strict.error == pytest.approx(2, abs=1e-3)


def test_a_fault_that_cannot_happen_is_left_out() -> None:
    # Without a crop, turned images would not fit the model.
    images = [image[:40, :60] for image in photos()[1:3]]
    result = diagnose_preprocess(images, Contract(), RIGHT.inputs(images, Contract()))
    assert not result.differs
    assert "rotated-90" not in result.scores and "rotated-180" in result.scores


def test_outputs_of_one_image() -> None:
    spec, run = SPECS["half"], network(0)
    image = photos()[:1]
    swapped = next(fault for fault in FAULTS if fault.name == "channel-order").inputs(image, spec)
    assert diagnose_preprocess(image, spec, run(swapped), run).named == "channel-order"
    assert not diagnose_preprocess(image, spec, run(RIGHT.inputs(image, spec)), run).differs


@pytest.mark.parametrize("count", [0, 65])
def test_the_number_of_images_is_bounded(count: int) -> None:
    with pytest.raises(DataError, match=rf"{count} images were given; give 1..64"):
        diagnose_preprocess([photos()[0]] * count, SPECS["half"], np.zeros((count, 3, 32, 32)))


@pytest.mark.parametrize("run", [None, network(0)])
def test_other_numbers_than_those_of_the_images_are_refused(run: Run | None) -> None:
    with pytest.raises(DataError, match=r"The app gave 2x7 numbers, and these images make 2x"):
        diagnose_preprocess(photos()[:2], SPECS["half"], np.zeros((2, 7)), run)


def test_numbers_that_are_none_are_refused() -> None:
    broken = simulated("", SPECS["half"]).copy()
    broken[3, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        diagnose_preprocess(photos(), SPECS["half"], broken)


def test_a_kernel_that_is_wrong_for_a_bicubic_model_is_named() -> None:
    spec = replace(SPECS["imagenet"], kernel=Kernel.BICUBIC)
    assert diagnose_preprocess(photos(), spec, given("bilinear", spec)).named == "bilinear"
    assert not diagnose_preprocess(photos(), spec, given("", spec)).differs


def test_channels_may_come_last() -> None:
    first = SPECS["imagenet"]
    last = replace(first, layout=Layout.NHWC)
    app, right = (given(name, first) for name in ("channel-order", ""))
    assert diagnose_preprocess(photos(), last, app.transpose(0, 2, 3, 1)).named == "channel-order"
    assert not diagnose_preprocess(photos(), last, right.transpose(0, 2, 3, 1)).differs
    run = network(0)
    found = diagnose_preprocess(photos(), last, run(app), lambda batch: run(batch.transpose(0, 3, 1, 2).copy()))
    assert found.named == "channel-order"


@pytest.mark.parametrize("name", ["channel-order", "unit-range", "squash", "nearest", "rotated-180"])
def test_a_letterbox_is_a_preprocessing_like_others(name: str) -> None:
    spec = Contract(resize=Letterbox((32, 40)), mean=(0.4,), std=(0.3,))
    assert diagnose_preprocess(photos(), spec, given(name, spec)).named == name
    assert not diagnose_preprocess(photos(), spec, given("", spec)).differs
