"""The preprocessing contract: what is done to an image before the model sees it, stated so that an app can repeat it.

    input → RGB → orientation → resize → crop → color → (pixel * scale - mean) / std → dtype → layout

docs/preprocessing.md defines every step in integers; `pocketfit.data.contract` carries them out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from pocketfit.contract.checks import one_of
from pocketfit.contract.inputs import Pixels, Yuv
from pocketfit.contract.outputs import Output
from pocketfit.contract.sizes import Crop, Exact, Kernel, Letterbox, ShorterSide
from pocketfit.errors import OptionError

__all__ = ["VERSION", "Color", "Contract", "Dtype", "Layout", "Quantization"]

VERSION = 1


class Color(StrEnum):
    """Channel order the model was trained with."""

    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"


class Layout(StrEnum):
    """Order of the axes; there is always a batch of 1."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Dtype(StrEnum):
    """Number format of the model's input."""

    FLOAT32 = "float32"
    UINT8 = "uint8"
    INT8 = "int8"


@dataclass(frozen=True)
class Quantization:
    """An integer input: `q = clip(round(x / scale) + zero_point)`, halves to the even integer.

    Args:
        scale: positive.
        zero_point: within the dtype.
    """

    scale: float
    zero_point: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise OptionError(f"quantization.scale is {self.scale}; it has to be a finite number above 0.")


Input = Annotated[Pixels | Yuv, Field(discriminator="kind")]
Resize = Annotated[ShorterSide | Exact | Letterbox, Field(discriminator="kind")]


@dataclass(frozen=True)
class Contract:
    """From what an app has in memory to the model's input, and from the model's output to an answer.

    Args:
        version: of the definition in docs/preprocessing.md.
        input: what the app hands over.
        orientation: 1..8 as EXIF counts, applied to every image; None applies the one that comes with the image.
        resize: None leaves the image as it is.
        kernel: of the resize.
        antialias: whether bilinear and bicubic widen with the reduction, as Pillow does; the other kernels know one
            way only.
        crop: after the resize; None for none.
        color: channel order of the model's input.
        scale: multiplies the 0..255 pixel.
        mean: one number or one per channel, in the order of `color`, subtracted after scaling.
        std: likewise, divides last.
        layout: order of the axes.
        dtype: of the model's input.
        quantization: for uint8 and int8 alone, and needed there.
        output: what the model's outputs mean; None hands them over as they are.
    """

    version: Literal[1] = 1
    input: Input = field(default_factory=Pixels)
    orientation: int | None = None
    resize: Resize | None = None
    kernel: Kernel = Kernel.BILINEAR
    antialias: bool = True
    crop: Crop | None = None
    color: Color = Color.RGB
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout = Layout.NCHW
    dtype: Dtype = Dtype.FLOAT32
    quantization: Quantization | None = None
    output: Output | None = None

    # Read by pydantic: a misspelt key is an error, not a default.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_crop_fits(self)
        _check_numbers(self)
        _check_quantization(self)

    @property
    def channels(self) -> int:
        """Of the model's input."""
        return 1 if self.color is Color.GRAY else 3


def _check_choices(contract: Contract) -> None:
    if contract.version != VERSION:
        raise OptionError(f"The contract has version {contract.version}; this Pocketfit reads version {VERSION}.")
    if contract.orientation not in (None, *range(1, 9)):
        raise OptionError(f"orientation is {contract.orientation}; allowed are 1 to 8 as EXIF counts, or null.")
    one_of("kernel", contract.kernel, Kernel)
    one_of("color", contract.color, Color)
    one_of("layout", contract.layout, Layout)
    one_of("dtype", contract.dtype, Dtype)


def _check_crop_fits(contract: Contract) -> None:
    resize, crop = contract.resize, contract.crop
    if resize is None or crop is None:
        return
    height, width = (resize.pixels,) * 2 if isinstance(resize, ShorterSide) else resize.size
    fits = min(crop.size) <= height if isinstance(resize, ShorterSide) else _within(crop.size, (height, width))
    if not fits:
        raise OptionError(
            f"The crop of {crop.size[0]}x{crop.size[1]} does not fit into the resize to {height}x{width}. "
            "Give a larger resize or a smaller crop."
        )


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner[0] <= outer[0] and inner[1] <= outer[1]


def _check_numbers(contract: Contract) -> None:
    for name, values in (("mean", contract.mean), ("std", contract.std)):
        if len(values) not in (1, contract.channels):
            allowed = "1" if contract.channels == 1 else f"1 or {contract.channels}"
            raise OptionError(f"{name} has {len(values)} numbers; {contract.color} takes {allowed}.")
    numbers = (contract.scale, *contract.mean, *contract.std)
    if not all(math.isfinite(value) for value in numbers) or contract.scale == 0 or 0 in contract.std:
        raise OptionError(
            f"scale is {contract.scale}, mean {contract.mean} and std {contract.std}; "
            "they have to be finite numbers, scale and std not 0: a std of 1 leaves a channel as it is."
        )


def _check_quantization(contract: Contract) -> None:
    lowest, highest = {Dtype.UINT8: (0, 255), Dtype.INT8: (-128, 127)}.get(contract.dtype, (0, 0))
    numbers = contract.quantization
    if (contract.dtype is Dtype.FLOAT32) != (numbers is None):
        raise OptionError(
            f"dtype is {contract.dtype} and quantization is {'missing' if numbers is None else 'given'}; "
            "uint8 and int8 need one, such as {'scale': 1.0, 'zero_point': 0}, and float32 takes none."
        )
    if numbers is not None and not lowest <= numbers.zero_point <= highest:
        raise OptionError(
            f"quantization.zero_point is {numbers.zero_point}; {contract.dtype} allows {lowest} to {highest}."
        )
