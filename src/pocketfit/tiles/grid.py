"""Where the tiles of an image lie: arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from pocketfit.errors import OptionError

__all__ = ["Axis", "Grid", "Tile"]


@dataclass(frozen=True)
class Axis:
    """Tiles along one side of an image.

    All tiles are equally large and together cover the side; the last one is moved inwards rather than made smaller. A
    side that is shorter than a tile, or no multiple of `stride`, is lengthened at its end.

    Args:
        size: pixels of the image, at least 1.
        tile: pixels of a tile, a multiple of `stride`.
        overlap: pixels that neighbours share at least, 0..tile - stride.
        stride: tiles begin at multiples of it.
    """

    size: int
    tile: int
    overlap: int = 0
    stride: int = 1

    def __post_init__(self) -> None:
        if min(self.size, self.tile, self.stride) < 1:
            raise OptionError(
                f"An image of {self.size}, a tile of {self.tile} and a stride of {self.stride} pixels were given; "
                "each must be at least 1."
            )
        if self.tile % self.stride:
            raise OptionError(
                f"A tile of {self.tile} pixels is no multiple of the stride {self.stride}. "
                f"Take {ceil(self.tile / self.stride) * self.stride}."
            )
        if not 0 <= self.overlap <= self.tile - self.stride:
            raise OptionError(
                f"Tiles of {self.tile} pixels cannot overlap by {self.overlap}: 0..{self.tile - self.stride} is "
                "allowed. Take larger tiles or a smaller overlap."
            )

    @property
    def padded(self) -> int:
        """Pixels that the tiles cover: those of the image, and what had to be put behind them."""
        return max(self.tile, _up_to_multiple(self.size, self.stride))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First pixel of each tile, rising."""
        step = (self.tile - self.overlap) // self.stride * self.stride
        last = self.padded - self.tile
        return (*range(0, last, step), last)


@dataclass(frozen=True)
class Tile:
    """One tile: its number in each direction, and its first row and column in the image."""

    row: int
    column: int
    top: int
    left: int


@dataclass(frozen=True)
class Grid:
    """Tiles over an image; every pair is (height, width).

    Args:
        image: pixels of the image.
        tile: pixels that the model takes.
        overlap: pixels that neighbours share at least.
        scale: pixels of the output per pixel of the input, such as 2 for super-resolution by two.
        stride: tiles begin at multiples of it; that of the network, so that each tile meets its pooling and strided
            convolutions in the same phase as the whole image does.

    Raises:
        OptionError: sizes that cannot be tiled.
    """

    image: tuple[int, int]
    tile: tuple[int, int]
    overlap: int = 0
    scale: Fraction | int = 1
    stride: int = 1

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.stride % self.scale.denominator:
            raise OptionError(
                f"A scale of {self.scale} with a stride of {self.stride} was given. The scale must be positive, and "
                f"the stride a multiple of {self.scale.denominator}, so that tiles begin at whole pixels of the output."
            )
        assert self.rows.starts and self.columns.starts  # built here, so that sizes are refused at once

    @cached_property
    def rows(self) -> Axis:
        """The tiles from top to bottom."""
        return Axis(self.image[0], self.tile[0], self.overlap, self.stride)

    @cached_property
    def columns(self) -> Axis:
        """The tiles from left to right."""
        return Axis(self.image[1], self.tile[1], self.overlap, self.stride)

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the whole output; part of a pixel counts as one."""
        return ceil(self.image[0] * self.scale), ceil(self.image[1] * self.scale)

    @property
    def output_tile(self) -> tuple[int, int]:
        """Height and width of a tile's output."""
        return int(self.tile[0] * self.scale), int(self.tile[1] * self.scale)

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    def __iter__(self) -> Iterator[Tile]:
        """The tiles row by row."""
        for row, top in enumerate(self.rows.starts):
            for column, left in enumerate(self.columns.starts):
                yield Tile(row, column, top, left)


def _up_to_multiple(value: int, of: int) -> int:
    return ceil(value / of) * of
