"""Contracts from what other libraries record of a model's preprocessing, without importing them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pocketfit.contract.sizes import Crop, Exact, Kernel, Letterbox, Rounding, ShorterSide
from pocketfit.contract.spec import Color, Contract, Layout
from pocketfit.errors import OptionError

__all__ = ["from_keras", "from_timm", "from_torchvision"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
KERNELS = {str(kernel): kernel for kernel in (Kernel.NEAREST, Kernel.BILINEAR, Kernel.BICUBIC, Kernel.BOX)}
KERAS_MODES = ("tf", "caffe", "torch")

# What stands before and behind the geometry in a torchvision pipeline and changes no pixel.
SILENT = ("ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ToImage", "ToDtype", "ConvertImageDtype")


def from_timm(config: Mapping[str, Any]) -> Contract:
    """The contract of timm's evaluation transform.

    Args:
        config: a model's `pretrained_cfg` as a dictionary, or what `timm.data.resolve_model_data_config` gives; missing
            keys have timm's defaults.

    Raises:
        OptionError: the transform does something that a contract cannot say.
    """
    channels, height, width = config.get("input_size", (3, 224, 224))
    if channels not in (1, 3):
        raise OptionError(f"timm's input_size has {channels} channels; a contract has 1 or 3.")
    share = config.get("crop_pct") or 0.875
    wanted = (math.floor(height / share), math.floor(width / share))
    mean = tuple(config.get("mean", IMAGENET_MEAN))
    return Contract(
        resize=_timm_resize(config.get("crop_mode") or "center", wanted, (height, width), mean),
        kernel=_kernel(config.get("interpolation") or "bicubic"),
        crop=Crop((height, width), Rounding.HALF_EVEN),
        color=Color.GRAY if channels == 1 else Color.RGB,
        mean=mean,
        std=tuple(config.get("std", IMAGENET_STD)),
    )


def from_torchvision(transform: object) -> Contract:
    """The contract of a torchvision transform, told by its attributes.

    Args:
        transform: a weights' preset, such as `ResNet18_Weights.DEFAULT.transforms()`, or a `Compose` of `Resize`,
            `CenterCrop`, `ToTensor` and `Normalize`. It is taken to be applied to PIL images.

    Raises:
        OptionError: the transform does something that a contract cannot say.
    """
    steps = getattr(transform, "transforms", None)
    if steps is not None:
        return _composed(steps)
    if not all(hasattr(transform, name) for name in ("resize_size", "mean", "std")):
        raise OptionError(
            f"{type(transform).__name__} has no resize_size, mean and std. Give a torchvision preset that has them, or "
            "a Compose of Resize, CenterCrop, ToTensor and Normalize."
        )
    return Contract(**_preset(transform))


def from_keras(
    mode: str,
    input_size: tuple[int, int] | None = None,
    *,
    kernel: Kernel = Kernel.NEAREST,
    antialias: bool = False,
    layout: Layout = Layout.NHWC,
) -> Contract:
    """The contract of a Keras application.

    Args:
        mode: of its `preprocess_input`: tf (-1..1), caffe (BGR less the mean colour) or torch (mean and std).
        input_size: height and width that the image is squashed to; None for images that have them already.
        kernel: `keras.utils.load_img` takes the nearest pixel unless told otherwise.
        antialias: `load_img` has it with every other kernel, and `tf.image.resize` has not.
        layout: order of the axes that the converted model takes.

    Raises:
        OptionError: Keras has no such mode.
    """
    if mode not in KERAS_MODES:
        raise OptionError(f"Keras has no mode {mode!r}; allowed are {', '.join(KERAS_MODES)}.")
    numbers: dict[str, dict[str, Any]] = {
        "tf": {"scale": 1 / 127.5, "mean": (1.0,)},
        "caffe": {"scale": 1.0, "mean": (103.939, 116.779, 123.68), "color": Color.BGR},
        "torch": {"mean": IMAGENET_MEAN, "std": IMAGENET_STD},
    }
    resize = None if input_size is None else Exact(input_size)
    return Contract(resize=resize, kernel=kernel, antialias=antialias, layout=layout, **numbers[mode])


def _timm_resize(
    mode: str, wanted: tuple[int, int], size: tuple[int, int], mean: tuple[float, ...]
) -> ShorterSide | Exact | Letterbox:
    if mode == "squash":
        return Exact(wanted)
    if mode == "center" and wanted[0] == wanted[1]:
        return ShorterSide(wanted[0], Rounding.FLOOR)
    if mode == "border" and wanted == size:
        red, green, blue = (round(255 * value) for value in (mean if len(mean) == 3 else mean * 3))
        return Letterbox(size, (red, green, blue))
    raise OptionError(
        f"timm's crop_mode {mode!r} with a resize to {wanted[0]}x{wanted[1]} and an input of {size[0]}x{size[1]} "
        "cannot be said in a contract. Allowed are squash, center with a square resize, and border with crop_pct 1."
    )


def _preset(preset: Any) -> dict[str, Any]:
    crop = getattr(preset, "crop_size", None)
    return {
        "resize": _torchvision_resize(preset.resize_size),
        "kernel": _kernel(getattr(preset, "interpolation", "bilinear")),
        "crop": None if crop is None else _center_crop(crop),
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
    }


def _composed(steps: Iterable[Any]) -> Contract:
    fields: dict[str, Any] = {}
    for step in steps:
        name = type(step).__name__
        found = _step(name, step)
        # A second resize, or one behind the crop, is another transform than the contract's.
        if found is None or fields.keys() & found.keys() or ("resize" in found and "crop" in fields):
            raise OptionError(
                f"{name} at this place cannot be said in a contract. Allowed are Resize, CenterCrop, ToTensor and "
                "Normalize, each once and in this order."
            )
        fields |= found
    return Contract(**fields)


def _step(name: str, step: Any) -> dict[str, Any] | None:
    if name in SILENT:
        return {}
    if name == "Resize" and getattr(step, "max_size", None) is None:
        return {"resize": _torchvision_resize(step.size), "kernel": _kernel(step.interpolation)}
    if name == "CenterCrop":
        return {"crop": _center_crop(step.size)}
    if name == "Normalize":
        return {"mean": tuple(float(value) for value in step.mean), "std": tuple(float(value) for value in step.std)}
    return None


def _torchvision_resize(size: int | Iterable[int] | None) -> ShorterSide | Exact | None:
    if size is None:
        return None
    sizes = _whole(size)
    return ShorterSide(sizes[0], Rounding.FLOOR) if len(sizes) == 1 else Exact((sizes[0], sizes[1]))


def _center_crop(size: int | Iterable[int]) -> Crop:
    sizes = _whole(size)
    return Crop((sizes[0], sizes[-1]), Rounding.HALF_EVEN)


def _whole(size: int | Iterable[int]) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(int(side) for side in size)


def _kernel(name: object) -> Kernel:
    """By its name, or by an enumeration's value."""
    text = str(getattr(name, "value", name)).lower()
    if text not in KERNELS:
        raise OptionError(f"The interpolation {text!r} cannot be said in a contract; allowed are {', '.join(KERNELS)}.")
    return KERNELS[text]
