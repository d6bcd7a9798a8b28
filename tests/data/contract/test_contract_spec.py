from __future__ import annotations

import pytest

from pocketfit.contract import Color
from pocketfit.data.contract import (
    Boxes,
    Classes,
    Contract,
    Crop,
    Dtype,
    Exact,
    Letterbox,
    Pixels,
    Quantization,
    ShorterSide,
    Yuv,
    YuvFormat,
)
from pocketfit.errors import OptionError


def test_the_default_leaves_pixels_between_0_and_1():
    contract = Contract()
    assert (contract.input, contract.resize, contract.crop, contract.scale) == (Pixels(), None, None, 1 / 255)
    assert contract.channels == 3
    assert Contract(color=Color.GRAY).channels == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Contract(version=2), "version 2; this Pocketfit reads version 1"),
        (lambda: Contract(orientation=9), "orientation is 9; allowed are 1 to 8"),
        (lambda: Contract(orientation=0), "orientation is 0"),
        (lambda: Contract(kernel="bilinear"), r"kernel is 'bilinear'; allowed are Kernel.NEAREST, Kernel.BILINEAR"),
        (lambda: Contract(color="rgb"), "color is 'rgb'"),
        (lambda: Contract(layout="nchw"), "layout is 'nchw'"),
        (lambda: Contract(dtype="int8"), "dtype is 'int8'"),
        (lambda: Contract(mean=(0.1, 0.2)), "mean has 2 numbers; rgb takes 1 or 3"),
        (lambda: Contract(color=Color.GRAY, std=(1.0, 1.0, 1.0)), "std has 3 numbers; gray takes 1"),
        (lambda: Contract(std=(0.0,)), "scale and std not 0"),
        (lambda: Contract(scale=0.0), "scale is 0.0"),
        (lambda: Contract(mean=(float("nan"),)), "finite"),
        (lambda: Contract(dtype=Dtype.INT8), "dtype is int8 and quantization is missing"),
        (lambda: Contract(quantization=Quantization(0.1)), "dtype is float32 and quantization is given"),
        (lambda: Contract(dtype=Dtype.UINT8, quantization=Quantization(0.1, -1)), "uint8 allows 0 to 255"),
        (lambda: Contract(dtype=Dtype.INT8, quantization=Quantization(0.1, 128)), "int8 allows -128 to 127"),
        (lambda: Quantization(0.0), "above 0"),
        (lambda: Quantization(float("inf")), "above 0"),
        (lambda: ShorterSide(0), "resize.pixels is 0; allowed are 1 to 65535"),
        (lambda: Exact((5, 70000)), "resize.size is 5x70000"),
        (lambda: Letterbox((0, 5)), "resize.size is 0x5"),
        (lambda: Letterbox((5, 5), (0, 0, 256)), "three whole numbers from 0 to 255"),
        (lambda: Letterbox((5, 5), align="center"), "Align.CENTER, Align.TOP_LEFT"),
        (lambda: Crop((5, -1)), "crop.size is 5x-1"),
        (lambda: Crop((5, 5), "floor"), "crop.offset is 'floor'"),
        (lambda: Contract(resize=Exact((10, 20)), crop=Crop((11, 5))), "crop of 11x5 does not fit into the resize"),
        (lambda: Contract(resize=ShorterSide(10), crop=Crop((11, 11))), "does not fit"),
        (lambda: Pixels("rgb"), "input.format is 'rgb'"),
        (lambda: Yuv("nv21"), "YuvFormat.NV21"),
        (lambda: Yuv(YuvFormat.NV21, "bt601"), "input.matrix"),
        (lambda: Yuv(YuvFormat.NV21, range="full"), "input.range"),
        (lambda: Classes(top_k=0), "top_k is 0"),
        (lambda: Boxes(iou_threshold=1.5), "iou_threshold is 1.5; allowed are 0 to 1"),
        (lambda: Boxes(score_threshold=float("nan")), "score_threshold is nan"),
        (lambda: Boxes(max_boxes=0), "max_boxes is 0"),
        (lambda: Boxes("xyxy"), "output.format"),
        (lambda: Boxes(activation="none"), "output.activation"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_a_crop_may_be_longer_than_the_shorter_side():
    assert Contract(resize=ShorterSide(10), crop=Crop((10, 20))).crop == Crop((10, 20))
