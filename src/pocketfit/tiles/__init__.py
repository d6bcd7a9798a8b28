"""Large images through models of small inputs: tile by tile, without seams, in bounded memory."""

from __future__ import annotations

from pocketfit.tiles.blend import Blend, Ramp
from pocketfit.tiles.grid import Axis, Grid, Tile
from pocketfit.tiles.memory import memory_bytes
from pocketfit.tiles.plan import TilePlan, plan_tiles
from pocketfit.tiles.receptive import ReceptiveField, minimum_overlap, receptive_field
from pocketfit.tiles.run import run_tiled

__all__ = [
    "Axis",
    "Blend",
    "Grid",
    "Ramp",
    "ReceptiveField",
    "Tile",
    "TilePlan",
    "memory_bytes",
    "minimum_overlap",
    "plan_tiles",
    "receptive_field",
    "run_tiled",
]
