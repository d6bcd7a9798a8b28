"""What the parts of a contract check in common."""

from __future__ import annotations

from enum import StrEnum

from pocketfit.errors import OptionError

__all__ = ["in_pixels", "one_of"]

# The weights of a resize are computed in 64-bit integers, which hold them up to this side.
LARGEST_SIDE = 65535


def one_of(name: str, value: object, allowed: type[StrEnum]) -> None:
    """Refuse a value that is no member: a plain string would pass every comparison but `is`.

    Raises:
        OptionError: naming the field and what it may be.
    """
    if not isinstance(value, allowed):
        choices = ", ".join(f"{allowed.__name__}.{member.name}" for member in allowed)
        raise OptionError(f"{name} is {value!r}; allowed are {choices}.")


def in_pixels(name: str, *sizes: int) -> None:
    """Refuse a side that no image has.

    Raises:
        OptionError: naming the field and what it may be.
    """
    if not all(1 <= size <= LARGEST_SIDE for size in sizes):
        shown = "x".join(str(size) for size in sizes)
        raise OptionError(f"{name} is {shown}; allowed are 1 to {LARGEST_SIDE} pixels.")
