"""What tiling takes, before anything is allocated."""

from __future__ import annotations

from math import prod

from pocketfit.tiles.grid import Grid

__all__ = ["memory_bytes"]

FLOAT32_BYTES = 4


def memory_bytes(grid: Grid, channels: int, output_channels: int, workers: int = 1) -> int:
    """Most bytes that `run_tiled` holds at once, beside the image and what the sessions themselves take.

    The output image; per worker one tile, one plane of it while it is cut, and its output; and one weighted tile, since
    results are blended one after the other. Vectors along one side of a tile are not counted.

    Args:
        grid: the tiles.
        channels: of the image.
        output_channels: of the output.
        workers: tiles in flight.
    """
    output_tile = output_channels * prod(grid.output_tile)
    in_flight = (channels + 1) * prod(grid.tile) + output_tile
    return FLOAT32_BYTES * (output_channels * prod(grid.output) + workers * in_flight + output_tile)
