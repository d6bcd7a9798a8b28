"""From a model and the size of an image to the tiles: exact where the network allows it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pocketfit.errors import ModelError
from pocketfit.tiles.blend import Blend
from pocketfit.tiles.grid import Grid
from pocketfit.tiles.receptive import ReceptiveField, receptive_field
from pocketfit.types import LoadedModel

__all__ = ["TilePlan", "plan_tiles"]

# Of a tile, where the overlap cannot make tiles exact: wide enough for a soft ramp, for 1.8 times the work.
BLENDED_SHARE = 4


@dataclass(frozen=True)
class TilePlan:
    """Tiles for one model and one size of image.

    Args:
        grid: where they lie.
        blend: how they are put together.
        exact: whether the result is that of the whole image, up to the rounding of floats.
        note: why it is or is not, in a sentence.
    """

    grid: Grid
    blend: Blend
    exact: bool
    note: str


def plan_tiles(model: LoadedModel, image: tuple[int, int], *, overlap: int | None = None) -> TilePlan:
    """Tiles as large as the model's input, with the smallest overlap that makes them exact.

    Where none does, because an op looks at the whole image or the tile is too small for the receptive field, a quarter
    of the tile overlaps and is blended.

    Args:
        model: from images to images.
        image: height and width in pixels.
        overlap: pixels that neighbours are to share at least; None to choose.

    Raises:
        ModelError: the model does not answer an image with an image.
        OptionError: an overlap that is larger than the tile.
    """
    scale = _scale(model)
    field = receptive_field(model.graph)
    tile = (model.input.shape[2], model.input.shape[3])
    stride = scale.denominator if field.unbounded else field.stride
    reason = _why_not_exact(field, tile, overlap)
    if reason:
        shared = min(tile) // BLENDED_SHARE if overlap is None else overlap
        return TilePlan(Grid(image, tile, shared, scale, stride), Blend(), False, f"Tiles are blended: {reason}.")
    shared = max(2 * field.margin, overlap or 0)
    note = f"Tiles that share {shared} pixels give what the whole image gives: {2 * field.margin} are needed."
    return TilePlan(Grid(image, tile, shared, scale, stride), Blend(field.margin), True, note)


def _why_not_exact(field: ReceptiveField, tile: tuple[int, int], overlap: int | None) -> str:
    if field.unbounded:
        return field.unbounded
    needed, most = 2 * field.margin, min(tile) - field.stride
    if needed > most:
        return f"an overlap of {needed} pixels is needed, and tiles of {tile[0]}x{tile[1]} can share {most} at most"
    if overlap is not None and overlap < needed:
        return f"an overlap of {needed} pixels is needed, and {overlap} were asked for"
    return ""


def _scale(model: LoadedModel) -> Fraction:
    given, gives = model.input.shape[2:], model.output.shape[2:]
    scales = {Fraction(out, size) for out, size in zip(gives, given, strict=False)}
    if model.more_inputs:
        raise ModelError(f"{model.name} has {len(model.inputs)} inputs; tiles are cut from the image of a single one.")
    if len(given) != 2 or len(gives) != 2 or len(scales) != 1:
        raise ModelError(
            f"{model.name} turns {'x'.join(map(str, model.input.shape))} into "
            f"{'x'.join(map(str, model.output.shape))}; tiles are put together where a model turns images into images "
            "of the same proportions."
        )
    return scales.pop()
