"""The same preprocessing for a model that takes images at another resolution."""

from __future__ import annotations

from dataclasses import replace

from pocketfit.contract import Contract, Exact, ShorterSide
from pocketfit.data.preprocess import input_size

__all__ = ["scaled"]


def scaled(contract: Contract, before: tuple[int, ...], after: tuple[int, ...]) -> Contract | None:
    """Resize and crop in proportion, so that the model sees the same part of the image.

    Args:
        contract: of the model as it is.
        before: its input without the batch: channels, height, width; or height, width, channels.
        after: the other one.

    Returns:
        None where images are cropped as they come: how large they are is not known.
    """
    sides = input_size(after, contract.layout)
    factors = tuple(new / old for new, old in zip(sides, input_size(before, contract.layout), strict=True))
    crop, resize = contract.crop, contract.resize
    if resize is None:
        return None if crop else replace(contract, resize=Exact(sides))
    if crop is not None:
        crop = replace(crop, size=_times(crop.size, factors))
    if isinstance(resize, ShorterSide):
        return replace(contract, crop=crop, resize=replace(resize, pixels=round(resize.pixels * max(factors))))
    return replace(contract, crop=crop, resize=replace(resize, size=_times(resize.size, factors)))


def _times(size: tuple[int, int], factors: tuple[float, ...]) -> tuple[int, int]:
    return round(size[0] * factors[0]), round(size[1] * factors[1])
