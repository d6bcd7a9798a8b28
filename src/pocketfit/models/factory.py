"""Models from the user's own code."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from pocketfit.contract import Contract
from pocketfit.errors import ModelError
from pocketfit.importing import call, resolve
from pocketfit.models.source import Source
from pocketfit.types import InputShape

__all__ = ["from_factory"]

_NAMELESS = frozenset(
    {"build", "build_model", "create", "create_model", "get_model", "load", "main", "make", "model", "net"}
)


def from_factory(spec: str) -> Source:
    """Build the module that `package.module:factory` or `file.py:factory` returns.

    Metadata is read from the module where it is there: `module.input_shape = (3, 224, 224)`, or for several inputs
    `((3, 224, 224), (10,))`, and `module.preprocess = Contract(...)`.

    Raises:
        ModelError: the code cannot be imported, fails, or returns something else.
    """
    factory = resolve(spec, ModelError)
    module = factory if isinstance(factory, nn.Module) else call(spec, factory, ModelError)
    if not isinstance(module, nn.Module):
        raise ModelError(f"{spec} returned a {type(module).__name__}; it has to return a torch.nn.Module.")
    return Source(module, _name(spec), _input_shape(spec, module), _preprocess(module))


def _name(spec: str) -> str:
    """Named after the factory; after its file where the factory has a name that every factory could have."""
    place, _, factory = spec.rpartition(":")
    if factory.lower() not in _NAMELESS:
        return factory
    return Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]


def _input_shape(spec: str, module: nn.Module) -> InputShape | None:
    shape = getattr(module, "input_shape", None)
    if shape is None or callable(shape):
        return None
    if _is_shape(shape):
        return tuple(shape)
    if isinstance(shape, tuple | list) and shape and all(map(_is_shape, shape)):
        return tuple(map(tuple, shape))
    raise ModelError(
        f"{spec} has input_shape = {shape!r}; write it as channels, height, width, such as (3, 224, 224), or for "
        "several inputs as one such shape for each."
    )


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple | list) and bool(shape) and all(isinstance(n, int) and n > 0 for n in shape)


def _preprocess(module: nn.Module) -> Contract | None:
    preprocess = getattr(module, "preprocess", None)
    # Many modules have a method of this name, which is not for us.
    return preprocess if isinstance(preprocess, Contract) else None
