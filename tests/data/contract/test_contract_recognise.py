from __future__ import annotations

from enum import Enum
from types import SimpleNamespace

import pytest

from pocketfit.contract import Color
from pocketfit.data.contract import (
    Contract,
    Crop,
    Exact,
    Kernel,
    Layout,
    Letterbox,
    Rounding,
    ShorterSide,
    from_keras,
    from_timm,
    from_torchvision,
)
from pocketfit.errors import OptionError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM = {"input_size": (3, 224, 224), "interpolation": "bicubic", "crop_pct": 0.875, "mean": MEAN, "std": STD}


def test_timm_resizes_the_shorter_side_and_crops():
    assert from_timm(TIMM) == Contract(
        resize=ShorterSide(256, Rounding.FLOOR),
        kernel=Kernel.BICUBIC,
        crop=Crop((224, 224), Rounding.HALF_EVEN),
        mean=MEAN,
        std=STD,
    )


def test_timm_has_defaults():
    assert from_timm({}) == from_timm(TIMM)


def test_timm_squashes():
    contract = from_timm({**TIMM, "crop_mode": "squash", "crop_pct": 0.9, "interpolation": "bilinear"})
    assert (contract.resize, contract.kernel) == (Exact((248, 248)), Kernel.BILINEAR)


def test_timm_borders():
    contract = from_timm({**TIMM, "crop_mode": "border", "crop_pct": 1.0, "mean": (0.5, 0.5, 0.2)})
    assert contract.resize == Letterbox((224, 224), (128, 128, 51))


def test_timm_gray():
    contract = from_timm({"input_size": (1, 32, 32), "mean": (0.5,), "std": (0.5,)})
    assert (contract.color, contract.mean) == (Color.GRAY, (0.5,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_mode": "border"}, "'border' with a resize to 256x256 and an input of 224x224"),
        ({"input_size": (3, 224, 320)}, "'center' with a resize to 256x365"),
        ({"interpolation": "lanczos"}, "'lanczos' cannot be said in a contract; allowed are nearest"),
        ({"input_size": (12, 8, 8)}, "12 channels"),
    ],
)
def test_what_timm_does_besides_is_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        from_timm({**TIMM, **changes})


class InterpolationMode(Enum):
    """As torchvision spells it."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


def step(name, **attributes):
    """An object of a class of that name, as a torchvision transform looks from outside."""
    return type(name, (SimpleNamespace,), {})(**attributes)


def test_torchvision_preset():
    preset = step(
        "ImageClassification",
        resize_size=[232],
        crop_size=[224],
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
        mean=list(MEAN),
        std=list(STD),
    )
    assert from_torchvision(preset) == Contract(
        resize=ShorterSide(232, Rounding.FLOOR), crop=Crop((224, 224), Rounding.HALF_EVEN), mean=MEAN, std=STD
    )


def test_torchvision_segmentation_does_not_crop():
    preset = step(
        "SemanticSegmentation", resize_size=[520], interpolation=InterpolationMode.BILINEAR, mean=MEAN, std=STD
    )
    assert from_torchvision(preset).crop is None


RESIZE = step("Resize", size=(40, 30), interpolation=InterpolationMode.BICUBIC, max_size=None)
CROP = step("CenterCrop", size=(28, 24))
NORMALIZE = step("Normalize", mean=MEAN, std=STD)
TENSOR = step("ToTensor")


def compose(*steps):
    return step("Compose", transforms=list(steps))


def test_torchvision_compose():
    assert from_torchvision(compose(RESIZE, CROP, TENSOR, NORMALIZE)) == Contract(
        resize=Exact((40, 30)),
        kernel=Kernel.BICUBIC,
        crop=Crop((28, 24), Rounding.HALF_EVEN),
        mean=MEAN,
        std=STD,
    )


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (compose(RESIZE, step("RandomErasing")), "RandomErasing at this place"),
        (compose(CROP, RESIZE), "Resize at this place"),
        (compose(RESIZE, RESIZE), "Resize at this place"),
        (compose(step("Resize", size=40, interpolation="bilinear", max_size=50)), "Resize at this place"),
        (step("ObjectDetection"), "ObjectDetection has no resize_size, mean and std"),
    ],
)
def test_what_torchvision_does_besides_is_refused(transform, message):
    with pytest.raises(OptionError, match=message):
        from_torchvision(transform)


def test_keras_modes():
    assert from_keras("tf") == Contract(
        kernel=Kernel.NEAREST, antialias=False, layout=Layout.NHWC, scale=1 / 127.5, mean=(1.0,)
    )
    caffe = from_keras("caffe", (224, 224), kernel=Kernel.BILINEAR, layout=Layout.NCHW)
    assert (caffe.resize, caffe.color, caffe.scale, caffe.mean) == (
        Exact((224, 224)),
        Color.BGR,
        1.0,
        (103.939, 116.779, 123.68),
    )
    assert (from_keras("torch").mean, from_keras("torch").std) == (MEAN, STD)


def test_keras_has_no_other_mode():
    with pytest.raises(OptionError, match="no mode 'torchvision'; allowed are tf, caffe, torch"):
        from_keras("torchvision")
