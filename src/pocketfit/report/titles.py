"""Runtimes as their makers write them."""

from __future__ import annotations

from pocketfit.runtimes import BUILT_IN, get_runtime

__all__ = ["title_of"]


def title_of(runtime: str) -> str:
    """The title of a built-in runtime; of any other, whose package may be gone by now, the name itself."""
    return get_runtime(runtime).info.title if runtime in BUILT_IN else runtime
