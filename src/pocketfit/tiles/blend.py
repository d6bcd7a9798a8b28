"""How much each of two overlapping tiles counts: weights that sum to one everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np

from pocketfit.errors import OptionError
from pocketfit.tiles.grid import Axis

__all__ = ["Blend", "Ramp", "axis_weights"]


class Ramp(StrEnum):
    """How one tile gives way to the next."""

    LINEAR = "linear"
    COSINE = "cosine"


@dataclass(frozen=True)
class Blend:
    """What happens where two tiles overlap.

    The outermost `margin` pixels at a tile's inner edges are dropped; between there the ramp leads from one tile to the
    next. Where half of the overlap is dropped on either side, nothing is blended: the tiles are cropped. A margin that
    covers the receptive field makes the result that of the whole image.

    Where two tiles disagree by `d` over a ramp of `n` pixels, neighbouring pixels differ by no more than they do within
    one tile, plus `d / n` with a linear ramp and `1.6 * d / n` with a cosine.

    Args:
        margin: pixels of the input; at most half of the overlap, and a whole number of pixels of the output.
        ramp: its shape.
    """

    margin: int = 0
    ramp: Ramp = Ramp.LINEAR

    def check(self, overlap: int, scale: Fraction | int) -> None:
        """Refuse a margin that leaves gaps between tiles.

        Args:
            overlap: pixels that neighbours share at least.
            scale: pixels of the output per pixel of the input.

        Raises:
            OptionError: saying what is allowed.
        """
        if not 0 <= 2 * self.margin <= overlap:
            raise OptionError(
                f"A margin of {self.margin} pixels was given with an overlap of {overlap}; it can be "
                f"0..{overlap // 2}. Take a larger overlap or a smaller margin."
            )
        if self.margin % scale.denominator:
            raise OptionError(
                f"A margin of {self.margin} pixels is no whole number of pixels of an output at scale {scale}. "
                f"Take a multiple of {scale.denominator}."
            )


def axis_weights(axis: Axis, index: int, scale: Fraction | int, blend: Blend) -> np.ndarray:
    """Weights of one tile along one side; those of all tiles at a pixel sum to one.

    Args:
        axis: the tiles along that side.
        index: number of the tile.
        scale: pixels of the output per pixel of the input.
        blend: checked.

    Returns:
        float32 of as many values as the tile has pixels of the output.
    """
    # Each tile counts from its own rise to that of the next. The next one never rises earlier, so no weight is
    # negative, and the sum over all tiles telescopes to one even where three of them overlap.
    weights: np.ndarray = _rise(axis, index, index, scale, blend) - _rise(axis, index + 1, index, scale, blend)
    return weights


def _rise(axis: Axis, number: int, tile: int, scale: Fraction | int, blend: Blend) -> np.ndarray:
    """Seen on one tile: 0 where the tiles before `number` count, 1 where that one and those behind it do."""
    start, length = int(axis.starts[tile] * scale), int(axis.tile * scale)
    if number in (0, len(axis.starts)):
        return np.full(length, number == 0, dtype=np.float32)
    first = int((axis.starts[number] + blend.margin) * scale)
    end = int((axis.starts[number - 1] + axis.tile - blend.margin) * scale)
    position = (np.arange(start, start + length) + 0.5 - first) / max(end - first, 1)
    if first == end:
        return (position > 0).astype(np.float32)
    rise: np.ndarray = np.clip(position, 0, 1).astype(np.float32)
    if blend.ramp is Ramp.COSINE:
        rise = (1 - np.cos(np.pi * rise)) / 2
    return rise
