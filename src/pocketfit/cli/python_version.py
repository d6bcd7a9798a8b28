"""The Python versions Pocketfit runs on; importable by any of them, so that the refusal can be read."""

from __future__ import annotations

__all__ = ["refusal"]

OLDEST = (3, 11)
FIRST_UNSUPPORTED = (3, 14)


def refusal(python: tuple[int, int]) -> str:
    """Why this Python cannot be used; empty when it can.

    Args:
        python: major and minor version.
    """
    if OLDEST <= python < FIRST_UNSUPPORTED:
        return ""
    return (
        f"this is Python {python[0]}.{python[1]}, but Pocketfit runs on Python 3.11, 3.12 and 3.13, the versions for "
        "which every converter is published. Install one of them and pocketfit into it."
    )
