"""Networks written here: one for each kind of op that converters stumble over."""

from __future__ import annotations

import inspect

from torch import nn

from benchmarks.architectures import zoo_images, zoo_pixels, zoo_sequences
from benchmarks.architectures.architecture import Architecture

__all__ = ["ZOO"]

_IMAGE = (3, 48, 48)
_SOURCES = {module: inspect.getsource(module) for module in (zoo_images, zoo_pixels, zoo_sequences)}


def _architecture(kind: type[nn.Module], shape: tuple[int, ...]) -> Architecture:
    module = next(one for one in _SOURCES if one.__name__ == kind.__module__)
    return Architecture(_snake(kind.__name__), "zoo", shape, kind, _SOURCES[module])


def _snake(name: str) -> str:
    """`DepthwiseMultiplier` as `depthwise_multiplier`; digits and runs of capitals belong to the word before."""
    spaced = "".join(
        f"_{letter}" if index and letter.isupper() and name[index - 1].islower() else letter
        for index, letter in enumerate(name)
    )
    return spaced.lower()


ZOO = (
    *(_architecture(kind, zoo_sequences.SHAPE) for kind in zoo_sequences.NETS),
    *(_architecture(kind, zoo_sequences.AUDIO) for kind in zoo_sequences.AUDIO_NETS),
    *(_architecture(kind, _IMAGE) for kind in zoo_images.NETS),
    *(_architecture(kind, _IMAGE) for kind in zoo_pixels.NETS),
)
