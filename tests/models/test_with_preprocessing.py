from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.contract import Color, Contract, Crop, Kernel, Layout, PixelFormat, Pixels, ShorterSide
from pocketfit.data.contract import prepare
from pocketfit.errors import OptionError
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.models.with_preprocessing import with_preprocessing

SHAPE = (3, 12, 10)
CONTRACT = Contract(
    resize=ShorterSide(14),
    kernel=Kernel.BICUBIC,
    crop=Crop((12, 10)),
    color=Color.BGR,
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.3, 0.25),
)


def source(shape: tuple[int, ...] = SHAPE) -> Source:
    torch.manual_seed(0)
    channels = shape[0]
    layers = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.9))
    return Source(layers, "net", shape)


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (20, 31, 3), dtype=np.uint8)


def test_the_whole_gives_what_model_and_app_gave_together() -> None:
    plain = source()
    inside = with_preprocessing(plain, CONTRACT)
    assert (inside.input_shape, inside.preprocess) == (
        (12, 10, 3),
        Contract(resize=CONTRACT.resize, kernel=Kernel.BICUBIC, crop=CONTRACT.crop, scale=1.0, layout=Layout.NHWC),
    )
    given = prepare(pixels(), inside.preprocess)
    assert np.array_equal(given, np.rint(given))
    with torch.no_grad():
        expected = plain.module(torch.from_numpy(prepare(pixels(), CONTRACT)))
        assert torch.equal(inside.module(torch.from_numpy(given)), expected)


def test_it_has_a_canonical_form() -> None:
    inside = with_preprocessing(source(), CONTRACT)
    model = canonicalise(inside.module, inside.input_shape, name="net", preprocess=inside.preprocess)
    given = torch.from_numpy(prepare(pixels(), inside.preprocess))
    with torch.no_grad():
        expected = inside.module(given)
        # Folding batch-norm rounds differently.
        torch.testing.assert_close(model.graph(given), expected, rtol=1e-4, atol=1e-5)


def test_an_exported_model_is_taken_too() -> None:
    plain = source()
    program = torch.export.export(plain.module.eval(), (torch.zeros(1, *SHAPE),))
    inside = with_preprocessing(Source(program.module(), "net", SHAPE), CONTRACT)
    model = canonicalise(inside.module, inside.input_shape, name="net")
    given = torch.from_numpy(prepare(pixels(), inside.preprocess))
    with torch.no_grad():
        expected = plain.module(torch.from_numpy(prepare(pixels(), CONTRACT)))
        torch.testing.assert_close(model.graph(given), expected, rtol=1e-4, atol=1e-5)


def test_a_gray_model_gets_colour() -> None:
    contract = Contract(crop=Crop((12, 10)), color=Color.GRAY, mean=(0.1,), std=(0.3,))
    plain = source((1, 12, 10))
    inside = with_preprocessing(plain, contract)
    assert inside.input_shape == (12, 10, 3)
    with torch.no_grad():
        expected = plain.module(torch.from_numpy(prepare(pixels(), contract)))
        found = inside.module(torch.from_numpy(prepare(pixels(), inside.preprocess)))
    # Of one channel, torch may take the numbers to lie in another order, and adds up the convolution in that.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (Contract(crop=Crop((12, 12))), "the model takes 3x12x10"),
        (Contract(color=Color.GRAY), "makes 1 channels"),
        (Contract(layout=Layout.NHWC), "as nhwc"),
        (Contract(input=Pixels(PixelFormat.GRAY)), "what follows upright RGB pixels"),
        (Contract(orientation=6), "what follows upright RGB pixels"),
    ],
)
def test_what_does_not_fit_is_refused(contract: Contract, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        with_preprocessing(source(), contract)
