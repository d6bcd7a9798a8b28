from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from pocketfit.contract import Color
from pocketfit.data.contract import (
    Contract,
    Crop,
    Dtype,
    Exact,
    Kernel,
    Layout,
    Letterbox,
    PixelFormat,
    Pixels,
    Quantization,
    ShorterSide,
    prepare,
)
from pocketfit.data.contract.embed import Arithmetic, Embedded, Geometry
from pocketfit.data.contract.geometry import place
from pocketfit.errors import DataError, OptionError

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
ARITHMETICS = (
    Contract(**IMAGENET),
    Contract(scale=1 / 127.5, mean=(1.0,), layout=Layout.NHWC),
    Contract(color=Color.BGR, scale=1.0, mean=(103.939, 116.779, 123.68)),
    Contract(color=Color.GRAY, mean=(0.1307,), std=(0.3081,)),
)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("contract", ARITHMETICS)
def test_it_has_the_bits_of_the_table(contract):
    images = noise(2, 40, 50, 3)
    # Every value in every channel, and black and white.
    images[0, :16, :16] = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    found = Arithmetic(contract)(torch.from_numpy(images)).numpy()
    assert np.array_equal(found, np.concatenate([prepare(image, contract) for image in images]))


GEOMETRIES = [
    Contract(resize=resize, kernel=kernel, antialias=antialias, crop=crop)
    for kernel in Kernel
    for antialias in (True, False)
    for resize, crop in (
        (ShorterSide(32), Crop((28, 30))),
        (Exact((70, 20)), None),
        (Letterbox((40, 40), (1, 2, 3)), None),
        (Letterbox((40, 40), (7, 8, 9)), Crop((33, 20))),
    )
]


@pytest.mark.parametrize("contract", GEOMETRIES)
def test_its_geometry_is_within_a_step(contract):
    image = noise(57, 64, 3)
    found = Geometry(contract, (57, 64))(torch.from_numpy(image)[None])[0].numpy()
    difference = np.abs(found - place(image, contract).astype(np.float32))
    # A mean of few pixels is often just a half, and float sums fall to either side of it.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.convolution(x).mean((2, 3))


def test_an_exported_model_takes_pixels():
    contract = Contract(resize=ShorterSide(20), crop=Crop((18, 18)), **IMAGENET)
    model = Small().eval()
    images = noise(1, 30, 41, 3)
    program = torch.export.export(Embedded(model, contract, (30, 41)), (torch.from_numpy(images),))
    with torch.no_grad():
        found = program.module()(torch.from_numpy(images))
        expected = model(torch.from_numpy(prepare(images[0], contract)))
    # A pixel in a hundred is a step of 1/255/0.225 off, in a mean of 256 positions.
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("contract", ARITHMETICS[2:])
def test_onnx_runtime_computes_the_same_bits(tmp_path, contract):
    images = torch.from_numpy(noise(1, 16, 20, 3))
    model = Embedded(torch.nn.Identity(), contract).eval()
    program = torch.onnx.export(model, (images,), dynamo=True, verbose=False)
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert np.array_equal(found, prepare(images[0].numpy(), contract))


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (Contract(dtype=Dtype.UINT8, quantization=Quantization(1.0)), "dtype is uint8; only float32"),
        (Contract(input=Pixels(PixelFormat.GRAY)), "input is gray with orientation None"),
        (Contract(orientation=6), "input is rgb with orientation 6"),
    ],
)
def test_what_a_model_cannot_hold_is_refused(contract, message):
    with pytest.raises(OptionError, match=message):
        Embedded(torch.nn.Identity(), contract)


def test_images_smaller_than_the_crop_are_refused():
    with pytest.raises(DataError, match="smaller than the crop"):
        Embedded(torch.nn.Identity(), Contract(crop=Crop((9, 9))), (8, 8))
