"""The image that tiles are cut from, and the one that their results are blended into."""

from __future__ import annotations

import numpy as np

from pocketfit.errors import ModelError
from pocketfit.tiles.blend import Blend, axis_weights
from pocketfit.tiles.grid import Grid, Tile

__all__ = ["Canvas", "cut"]


def cut(image: np.ndarray, grid: Grid, tile: Tile) -> np.ndarray:
    """One tile of the image, mirrored at its last row and column where it reaches beyond.

    Args:
        image: 1×C×H×W.
        grid: of that image.
        tile: of that grid.

    Returns:
        1×C×tile, contiguous, in memory of its own.
    """
    rows = _mirrored(tile.top, grid.tile[0], grid.image[0])
    columns = _mirrored(tile.left, grid.tile[1], grid.image[1])
    pixels = np.empty((*image.shape[:2], *grid.tile), dtype=np.float32)
    # Plane by plane: picking rows and columns at once would order the result by its strides, and twice copies it.
    for target, source in zip(pixels[0], image[0], strict=True):
        target[...] = source[rows[:, None], columns]
    return pixels


def _mirrored(start: int, length: int, size: int) -> np.ndarray:
    """Positions from `start` on, turned back at the last one without repeating it."""
    positions = np.arange(start, start + length)
    if start + length <= size:
        return positions
    period = max(2 * (size - 1), 1)
    positions %= period
    return np.minimum(positions, period - positions)


class Canvas:
    """The output image; it is allocated when the first result tells its channels.

    Args:
        grid: the tiles.
        blend: what happens where they overlap.
    """

    def __init__(self, grid: Grid, blend: Blend) -> None:
        blend.check(grid.overlap, grid.scale)
        self._grid = grid
        self._blend = blend
        self._pixels: np.ndarray | None = None

    @property
    def pixels(self) -> np.ndarray:
        """float32 1×C×H×W, whole when every tile was added."""
        assert self._pixels is not None
        return self._pixels

    def add(self, tile: Tile, result: np.ndarray) -> None:
        """Blend in what the model made of a tile.

        Args:
            tile: of the grid, added once.
            result: float32 1×C×(tile × scale).

        Raises:
            ModelError: the result has another size than the grid's scale tells, or other channels than before.
        """
        self._check(result)
        if self._pixels is None:
            self._pixels = np.zeros((1, result.shape[1], *self._grid.output), dtype=np.float32)
        grid = self._grid
        down, rows, vertical = self._place(0, tile.row, int(tile.top * grid.scale))
        across, columns, horizontal = self._place(1, tile.column, int(tile.left * grid.scale))
        weighted = result[..., rows, columns] * vertical[:, None]
        weighted *= horizontal
        self._pixels[..., down, across] += weighted

    def _place(self, side: int, index: int, start: int) -> tuple[slice, slice, np.ndarray]:
        """Where a tile counts along one side: in the output, in its own result, and with which weights.

        What has no weight is left out, also because nothing is known of it: zero times infinity is no number.
        """
        axis = (self._grid.rows, self._grid.columns)[side]
        weights = axis_weights(axis, index, self._grid.scale, self._blend)[: self._grid.output[side] - start]
        counting = np.flatnonzero(weights)
        if len(counting) == 0:
            return slice(0, 0), slice(0, 0), weights[:0]
        first, end = int(counting[0]), int(counting[-1]) + 1
        return slice(start + first, start + end), slice(first, end), weights[first:end]

    def _check(self, result: np.ndarray) -> None:
        channels = result.shape[1] if self._pixels is None and result.ndim == 4 else self._channels
        expected = (1, channels, *self._grid.output_tile)
        if result.shape != expected:
            raise ModelError(
                f"The model answers a tile of {_sizes(self._grid.tile)} pixels with {_sizes(result.shape)}; at scale "
                f"{self._grid.scale} it should be {_sizes(expected)}. Give the grid the model's own scale."
            )

    @property
    def _channels(self) -> int:
        return 0 if self._pixels is None else self._pixels.shape[1]


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
