"""The number format of a file's input: float32, or pixels as they are."""

from __future__ import annotations

from collections.abc import Mapping

from pocketfit.types import RuntimeOption

__all__ = ["INPUT_TYPE", "UINT8", "input_dtype", "input_type_option", "takes_pixels"]

INPUT_TYPE = "input-type"
UINT8 = "uint8"

_FLOAT32 = "float32"


def input_type_option() -> RuntimeOption:
    """The option of runtimes whose files can take uint8; without it, they take float32."""
    return RuntimeOption(INPUT_TYPE, (_FLOAT32, UINT8), "Of the input: float32, or uint8 where it is pixels.")


def input_dtype(options: Mapping[str, str]) -> str:
    """Of files with these options, as numpy spells it; also of runtimes that have no such option."""
    return options.get(INPUT_TYPE, _FLOAT32)


def takes_pixels(options: Mapping[str, str]) -> bool:
    """Whether files with these options take uint8."""
    return input_dtype(options) == UINT8
