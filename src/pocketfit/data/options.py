"""A preprocessing contract from the command line, from a JSON file, or from both on top of the model's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pocketfit.contract import (
    Color,
    Contract,
    Crop,
    Exact,
    Kernel,
    Layout,
    Letterbox,
    Output,
    ShorterSide,
    Task,
    contract_from_json,
    output_from_json,
)
from pocketfit.errors import OptionError

__all__ = ["Changes", "parse_postprocess", "parse_preprocess", "parse_size", "resolve_preprocess"]


T = TypeVar("T")


@dataclass(frozen=True)
class Changes:
    """What the user wants otherwise than the model says.

    Args:
        fields: of `Contract`, by name.
    """

    fields: Mapping[str, Any]

    def over(self, base: Contract | None) -> Contract:
        """The base with the changes; without a base, the defaults of a contract with them.

        Raises:
            OptionError: what comes of it contradicts itself, such as a crop that is larger than the resize.
        """
        return replace(base or Contract(), **self.fields)


def resolve_preprocess(asked: Contract | Changes | None, own: Contract | None) -> Contract | None:
    """What the user says, on top of what the model says of itself."""
    return asked.over(own) if isinstance(asked, Changes) else asked or own


def parse_preprocess(
    *,
    resize: str | None = None,
    letterbox: str | None = None,
    fill: str | None = None,
    kernel: str | None = None,
    antialias: bool | None = None,
    crop: str | None = None,
    color: str | None = None,
    scale: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    layout: str | None = None,
    file: Path | None = None,
) -> Contract | Changes | None:
    """Read what the user says of the preprocessing.

    Args:
        resize: shorter side, such as `256`, or height x width, such as `256x320`, whatever the aspect.
        letterbox: `640` for a square, or height x width, that the image is fitted into.
        fill: of the letterbox's margin: one number from 0 to 255, or red, green and blue, separated by commas.
        kernel: `nearest`, `bilinear`, `bicubic`, `box` or `area`.
        antialias: of bilinear and bicubic.
        crop: `224` for a square, or height x width.
        color: `rgb`, `bgr` or `gray`.
        scale: a number or a fraction, such as `1/255`.
        mean: one number, or one per channel, separated by commas.
        std: likewise, none of them zero.
        layout: `nchw` or `nhwc`.
        file: a contract as JSON; what is given beside it wins.

    Returns:
        The contract of the file; without one, changes to the model's own; None when nothing is said.

    Raises:
        OptionError: a value that is not allowed, with the ones that are.
    """
    given: dict[str, tuple[object, Callable[[Any], Any]]] = {
        "kernel": (kernel, lambda text: _word("--kernel", text, Kernel)),
        "antialias": (antialias, bool),
        "crop": (crop, lambda text: Crop(parse_size("--crop", text))),
        "color": (color, lambda text: _word("--color", text, Color)),
        "scale": (scale, lambda text: _number("--scale", text)),
        "mean": (mean, lambda text: _numbers("--mean", text)),
        "std": (std, lambda text: _numbers("--std", text)),
        "layout": (layout, lambda text: _word("--layout", text, Layout)),
    }
    fields = {name: read(value) for name, (value, read) in given.items() if value is not None}
    changes = Changes({**_resized(resize, letterbox, fill), **fields})
    # Said on its own, a value that is never allowed is refused before any model is loaded.
    _check_alone(changes)
    if file is not None:
        return changes.over(_of_file(file, "--preprocess", contract_from_json))
    return changes if changes.fields else None


def parse_postprocess(text: str | None) -> Output | Task | None:
    """Read what the user says of the outputs.

    Args:
        text: a task, or the path of a JSON file with what stands behind `output` in a contract.

    Raises:
        OptionError: neither of them.
    """
    if text is None or text in list(Task):
        return None if text is None else Task(text)
    if not text.endswith(".json"):
        raise OptionError(f"--postprocess {text!r} is not allowed. Give {', '.join(Task)}, or a .json file.")
    return _of_file(Path(text), "--postprocess", output_from_json)


def _check_alone(changes: Changes) -> None:
    """Refuse now what no model's own preprocessing could make right."""
    changes.over(None)


def _resized(resize: str | None, letterbox: str | None, fill: str | None) -> dict[str, Any]:
    if resize is not None and letterbox is not None:
        raise OptionError(f"--resize {resize} and --letterbox {letterbox} exclude each other. Give one of them.")
    if fill is not None and letterbox is None:
        raise OptionError(f"--letterbox-fill {fill} fills the margin of a letterbox. Give --letterbox too.")
    if letterbox is not None:
        size = parse_size("--letterbox", letterbox)
        return {"resize": Letterbox(size) if fill is None else Letterbox(size, _fill(fill))}
    if resize is None:
        return {}
    sizes = _sizes("--resize", resize)
    return {"resize": ShorterSide(sizes[0]) if len(sizes) == 1 else Exact((sizes[0], sizes[1]))}


def _of_file(file: Path, option: str, read: Callable[[str], T]) -> T:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{file} cannot be read: {error}. Give {option} a JSON file.") from error
    try:
        return read(text)
    except OptionError as error:
        raise OptionError(f"{file}: {error}") from error


def _fill(text: str) -> tuple[int, int, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, 3) or not all(part.isdecimal() for part in parts):
        raise OptionError(f"--letterbox-fill {text!r} is not allowed. Give 114, or red, green, blue: 114,114,114.")
    red, green, blue = (int(part) for part in (parts if len(parts) == 3 else parts * 3))
    return red, green, blue


def parse_size(option: str, text: str) -> tuple[int, int]:
    """Height and width, from `224` for a square or `224x320`.

    Raises:
        OptionError: it is neither.
    """
    sizes = _sizes(option, text)
    return sizes[0], sizes[-1]


def _sizes(option: str, text: str) -> list[int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
        raise OptionError(f"{option} {text!r} is not allowed. Give pixels, such as 224, or height x width: 224x320.")
    return [int(part) for part in parts]


def _word(option: str, text: str, allowed: type[StrEnum]) -> StrEnum:
    try:
        return allowed(text.lower())
    except ValueError:
        raise OptionError(f"{option} {text!r} is not allowed. Give {', '.join(allowed)}.") from None


def _numbers(option: str, text: str) -> tuple[float, ...]:
    return tuple(_number(option, part) for part in text.split(","))


def _number(option: str, text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(text)
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"{option} {text!r} is not a number. Give one such as 0.5 or 1/255.") from None
