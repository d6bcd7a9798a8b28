"""What a converter said when it failed, cut to what a person reads, and what to do about it."""

from __future__ import annotations

__all__ = ["REPLACE", "REPLACE_NAMED", "first_line", "last_lines", "lines_of"]

REPLACE = "Replace the op in the model, or leave this runtime out with --targets."
REPLACE_NAMED = "Replace the op named above, or leave this runtime out with --targets."


def lines_of(text: str) -> list[str]:
    """Lines that hold something, without the space around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def first_line(error: Exception) -> str:
    """The first line of an error's message, 400 characters at most; its type where it has none."""
    return (lines_of(str(error)) or [type(error).__name__])[0][:400]


def last_lines(text: str, count: int) -> str:
    """The last lines of what a program printed."""
    return "\n".join(lines_of(text)[-count:])
