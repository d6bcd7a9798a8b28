"""Fit any trained neural network into a phone: one calibration, every mobile runtime, with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketfit.bundle import verify_bundle
    from pocketfit.models import load_model
    from pocketfit.pipeline import fit

    __version__: str

__all__ = ["__version__", "fit", "load_model", "verify_bundle"]

_HOMES = {"fit": "pocketfit.pipeline", "load_model": "pocketfit.models", "verify_bundle": "pocketfit.bundle"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that `import pocketfit` loads no torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pocketfit")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pocketfit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
