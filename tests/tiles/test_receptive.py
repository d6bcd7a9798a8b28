from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketfit.errors import ModelError
from pocketfit.models.canonical import canonicalise
from pocketfit.tiles import ReceptiveField, minimum_overlap, receptive_field
from pocketfit.types import LoadedModel

Models = Callable[[str, int, int], LoadedModel]


class Step(nn.Module):
    """One function between two convolutions that look at one pixel."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, 4, 1), nn.LazyConv2d(2, 1)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.function(self.before(x)))


def field_of(function: Callable[[torch.Tensor], torch.Tensor], size: int = 24) -> ReceptiveField:
    return receptive_field(step(function, size).graph)


def step(function: Callable[[torch.Tensor], torch.Tensor], size: int = 24) -> LoadedModel:
    module = Step(function)
    module(torch.zeros(1, 3, size, size))
    return canonicalise(module, (3, size, size), name="step")


def numbers(field: ReceptiveField) -> tuple[Fraction, Fraction, Fraction, int]:
    return field.rows.step, field.rows.before, field.rows.after, field.stride


LOCAL = {
    "max pooling": lambda x: functional.max_pool2d(x, 2),
    "average pooling of three": lambda x: functional.avg_pool2d(x, 3, 2, 1),
    "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: functional.pixel_unshuffle(x, 3),
    "nearest": lambda x: functional.interpolate(x, scale_factor=2),
    "nearest to two thirds": lambda x: functional.interpolate(x, size=(16, 16)),
    "bilinear": lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear to a third": lambda x: functional.interpolate(x, scale_factor=1 / 3, mode="bilinear"),
    "bilinear by 1.5": lambda x: functional.interpolate(x, size=(36, 36), mode="bilinear"),
    "bicubic": lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic"),
    "bilinear, antialiased": lambda x: functional.interpolate(x, size=(8, 8), mode="bilinear", antialias=True),
    "bicubic, antialiased": lambda x: functional.interpolate(x, size=(6, 6), mode="bicubic", antialias=True),
    "slice": lambda x: x[:, :, 1::2, ::2] + x[..., ::2, 1::2],
    "negative slice": lambda x: functional.pad(x[..., -23:, 1:], (0, 1, 1, 0)),
    "reflection": lambda x: functional.pad(x, (3, 0, 2, 1), mode="reflect")[..., :24, :24],
    "channel shuffle": lambda x: x.view(x.shape[0], 2, 2, 24, 24).transpose(1, 2).flatten(1, 2),
    "softmax over channels": lambda x: torch.softmax(x, 1),
    "mean over channels": lambda x: x * x.mean(1, keepdim=True),
    "gelu": functional.gelu,
    "pooling of everything that is nothing": lambda x: functional.adaptive_avg_pool2d(x, 24),
}


@pytest.mark.parametrize("name", LOCAL)
def test_no_pixel_outside_the_field_changes_an_output(name: str) -> None:
    check_field(step(LOCAL[name]))


@pytest.mark.parametrize("name", ["UNet", "SuperResolution", "Quarter"])
def test_no_pixel_outside_the_field_of_a_network_changes_an_output(name: str, model: Models) -> None:
    check_field(model(name, 64, 64))


def check_field(model: LoadedModel) -> None:
    """A pixel that is no number makes no number of whatever depends on it."""
    field = receptive_field(model.graph)
    assert not field.unbounded
    _, channels, height, width = model.input.shape
    changed = 0
    for row, column in (
        (height // 2, width // 2),
        (height // 2, width // 2 + 3),
        (height // 3 + 2, width // 3 + 2),
    ):
        sample = torch.zeros(1, channels, height, width)
        sample[:, :, row, column] = float("nan")
        spoilt = np.argwhere(np.isnan(model.graph(sample).numpy()))
        for along, pixel, reach in ((2, row, field.rows), (3, column, field.columns)):
            centres = spoilt[:, along] * float(reach.step)
            # Thirds are no floats.
            assert (centres - float(reach.before) <= pixel + 1e-9).all()
            assert (centres + float(reach.after) >= pixel - 1e-9).all()
        changed += len(spoilt)
    assert changed


def test_a_row_of_convolutions_by_hand() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(2, 2, 5, 2, 2), nn.Conv2d(2, 2, 3, padding=1))
    field = receptive_field(canonicalise(module, (3, 16, 16), name="row").graph)
    # 1, then 2 more, then 2 more because each step is two pixels by now.
    assert numbers(field) == (2, 5, 5, 2)
    assert field.rows.pixels == 11
    # Every second pixel is an output: the margin is a multiple of two.
    assert field.margin == 6


def test_rows_and_columns_are_apart() -> None:
    module = nn.Conv2d(3, 2, (1, 7), padding=(0, 3))
    field = receptive_field(canonicalise(module, (3, 16, 16), name="wide").graph)
    assert (field.rows.pixels, field.columns.pixels, field.margin) == (1, 7, 3)


@pytest.mark.parametrize(("kernel", "overlap"), [(1, 0), (3, 2), (5, 4), (9, 8)])
def test_the_overlap_of_one_convolution_is_what_it_looks_at(kernel: int, overlap: int) -> None:
    module = nn.Conv2d(3, 2, kernel, padding=kernel // 2)
    assert minimum_overlap(canonicalise(module, (3, 16, 16), name="one").graph) == overlap


def test_upsampling_by_hand() -> None:
    # Value 2k comes from k - 1 and k, value 2k + 1 from k and k + 1; the bound is a quarter of a pixel too far behind.
    assert numbers(field_of(LOCAL["bilinear"])) == (Fraction(1, 2), 1, Fraction(3, 4), 1)
    assert numbers(field_of(LOCAL["pixel shuffle"])) == (Fraction(1, 2), Fraction(1, 2), 0, 1)


def test_down_and_up_again_keeps_the_stride() -> None:
    field = field_of(lambda x: functional.interpolate(functional.max_pool2d(x, 4), scale_factor=4))
    assert numbers(field) == (1, 3, 3, 4)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: functional.adaptive_avg_pool2d(x, 2), r"adaptive_avg_pool2d \(node .*pools the whole image"),
        (lambda x: x * x.mean((2, 3), keepdim=True), r"mean \(node .*goes over the whole image"),
        (lambda x: torch.softmax(x, -1), r"softmax \(node .*goes over the whole image"),
        (lambda x: functional.layer_norm(x, [24]), r"layer_norm \(node .*not known to look at a neighbourhood"),
        (lambda x: functional.group_norm(x, 2), r"group_norm \(node"),
        (lambda x: functional.scaled_dot_product_attention(x, x, x), r"transpose \(node"),
        (lambda x: x @ x, r"matmul \(node"),
        (lambda x: x.flip(2), r"flip \(node"),
        (lambda x: x.transpose(2, 3), r"transpose \(node .*height and width elsewhere"),
        (lambda x: x.flatten(2).view(x.shape[0], 4, 48, 12), r"reshape \(node .*height and width apart"),
        (
            lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
            r"aligns the corners",
        ),
        (lambda x: functional.max_pool2d(x, 2)[..., :1, :1] + x, r"different resolutions"),
        (lambda x: x[..., :20, :20], r"no image in a fixed scale"),
    ],
)
def test_what_looks_at_the_whole_image_is_named(function: Callable[..., torch.Tensor], reason: str) -> None:
    module = step(function)
    field = receptive_field(module.graph)
    assert field.unbounded
    with pytest.raises(ModelError, match=reason):
        minimum_overlap(module.graph)


def test_a_gate_looks_at_the_whole_image(model: Models) -> None:
    with pytest.raises(ModelError, match=r"adaptive_avg_pool2d.*blend the tiles"):
        minimum_overlap(model("Gated", 16, 16).graph)


def test_a_model_of_vectors_is_refused() -> None:
    with pytest.raises(ModelError, match=r"2 dimensions; tiles are cut from images"):
        receptive_field(canonicalise(nn.Linear(8, 2), (8,), name="vectors").graph)
