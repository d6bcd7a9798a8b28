"""A preprocessing specification from the command line or from a JSON file, and back."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pocketfit.errors import OptionError
from pocketfit.types import Color, PreprocessSpec

__all__ = ["parse_preprocess", "preprocess_from_json", "preprocess_to_json"]


def parse_preprocess(
    *,
    resize: str | None = None,
    crop: str | None = None,
    color: str | None = None,
    scale: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    file: Path | None = None,
    base: PreprocessSpec | None = None,
) -> PreprocessSpec | None:
    """Build a specification; what is not given comes from the file, else from the base, else from the defaults.

    Args:
        resize: shorter side, such as `256`, or height x width, such as `256x320`.
        crop: `224` for a square, or height x width.
        color: `rgb`, `bgr` or `gray`.
        scale: a number or a fraction, such as `1/255`.
        mean: one number, or one per channel, separated by commas.
        std: likewise, none of them zero.
        file: JSON with the fields of `PreprocessSpec`.
        base: what the model says of its own preprocessing.

    Returns:
        The specification, or None when nothing says anything.

    Raises:
        OptionError: a value that is not allowed, with the ones that are.
    """
    start = base if file is None else _read(file)
    changes: dict[str, Any] = {}
    if resize is not None:
        changes["resize"] = _resize(resize)
    if crop is not None:
        changes["crop"] = _crop(crop)
    if color is not None:
        changes["color"] = _color(color)
    if scale is not None:
        changes["scale"] = _number("--scale", scale)
    if mean is not None:
        changes["mean"] = _numbers("--mean", mean)
    if std is not None:
        changes["std"] = _numbers("--std", std)
    if start is None and not changes:
        return None
    return _checked(replace(start or PreprocessSpec(), **changes))


def preprocess_to_json(spec: PreprocessSpec) -> str:
    """The specification as a JSON object, one line, keys in the order of the fields."""
    text: bytes = _adapter().dump_json(spec)
    return text.decode()


def preprocess_from_json(text: str) -> PreprocessSpec:
    """Read what `preprocess_to_json` wrote, or a person.

    Raises:
        OptionError: it is not JSON, has an unknown key, or a value that is not allowed.
    """
    from pydantic import ValidationError

    try:
        spec: PreprocessSpec = _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f" at {part}" for part in first["loc"][:1])
        raise OptionError(f"The preprocessing is not valid{where}: {first['msg']}. {_FIELDS}") from error
    unknown = set(json.loads(text)) - {field.name for field in fields(spec)}
    if unknown:
        raise OptionError(f"The preprocessing has the unknown key {min(unknown)}. {_FIELDS}")
    return _checked(spec)


_FIELDS = (
    'Allowed: {"resize": 256, "crop": [224, 224], "color": "rgb", "scale": 0.00392, "mean": [0.485, 0.456, 0.406], '
    '"std": [0.229, 0.224, 0.225]}.'
)


def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(PreprocessSpec)


def _read(file: Path) -> PreprocessSpec:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{file} cannot be read: {error}. Give --preprocess a JSON file.") from error
    try:
        return preprocess_from_json(text)
    except OptionError as error:
        raise OptionError(f"{file}: {error}") from error


def _checked(spec: PreprocessSpec) -> PreprocessSpec:
    channels = 1 if spec.color is Color.GRAY else 3
    for name, values in (("mean", spec.mean), ("std", spec.std)):
        if len(values) not in (1, channels):
            raise OptionError(f"{name} has {len(values)} numbers; {spec.color} images take 1 or {channels}.")
    if not all(math.isfinite(value) for value in (spec.scale, *spec.mean, *spec.std)) or spec.scale == 0:
        raise OptionError("scale, mean and std have to be finite numbers, and scale not 0.")
    if 0 in spec.std:
        raise OptionError("std has a 0, by which nothing can be divided; give 1 to leave a channel as it is.")
    sizes = [size for part in (spec.resize, spec.crop) for size in _flat(part)]
    if any(size < 1 for size in sizes):
        raise OptionError(f"resize and crop have to be at least 1 pixel; got {spec.resize} and {spec.crop}.")
    return spec


def _flat(size: int | tuple[int, int] | None) -> tuple[int, ...]:
    if size is None:
        return ()
    return (size,) if isinstance(size, int) else size


def _resize(text: str) -> int | tuple[int, int]:
    sizes = _sizes("--resize", text)
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


def _crop(text: str) -> tuple[int, int]:
    sizes = _sizes("--crop", text)
    return sizes[0], sizes[-1]


def _sizes(option: str, text: str) -> list[int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
        raise OptionError(f"{option} {text!r} is not allowed. Give pixels, such as 224, or height x width: 224x320.")
    return [int(part) for part in parts]


def _color(text: str) -> Color:
    try:
        return Color(text.lower())
    except ValueError:
        raise OptionError(f"--color {text!r} is not allowed. Give {', '.join(Color)}.") from None


def _numbers(option: str, text: str) -> tuple[float, ...]:
    return tuple(_number(option, part) for part in text.split(","))


def _number(option: str, text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"{option} {text!r} is not a number. Give one such as 0.5 or 1/255.") from None
