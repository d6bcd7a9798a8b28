"""Between `PreprocessSpec`, which Pocketfit records with a model, and the contract."""

from __future__ import annotations

from dataclasses import replace

from pocketfit.data.contract.sizes import Crop, Exact, ShorterSide
from pocketfit.data.contract.spec import Contract
from pocketfit.errors import OptionError
from pocketfit.types import PreprocessSpec

__all__ = ["from_preprocess", "to_preprocess"]


def from_preprocess(spec: PreprocessSpec) -> Contract:
    """The contract that does what the specification does; `to_preprocess` gives the specification back.

    Geometry and arithmetic agree bit for bit, with two exceptions: gray is rounded to a whole pixel value here and not
    there, and Pillow from 13 on resizes some very tall images in another order (docs/preprocessing.md).

    Raises:
        OptionError: the specification has a value that is not allowed.
    """
    return Contract(
        resize=_resize(spec.resize),
        crop=None if spec.crop is None else Crop(spec.crop),
        color=spec.color,
        scale=spec.scale,
        mean=spec.mean,
        std=spec.std,
    )


def to_preprocess(contract: Contract) -> PreprocessSpec:
    """The specification that says the same as the contract.

    Raises:
        OptionError: the contract says something that a `PreprocessSpec` cannot.
    """
    resize = contract.resize
    spec = PreprocessSpec(
        resize=resize.pixels if isinstance(resize, ShorterSide) else resize.size if resize else None,
        crop=None if contract.crop is None else contract.crop.size,
        color=contract.color,
        scale=contract.scale,
        mean=contract.mean,
        std=contract.std,
    )
    # What becomes of the outputs is not the specification's business.
    plain, again = replace(contract, output=None), from_preprocess(spec)
    if plain != again:
        differing = [name for name, value in vars(plain).items() if value != getattr(again, name)]
        raise OptionError(
            f"A PreprocessSpec cannot express the contract's {', '.join(differing)}. Keep the contract itself, "
            "or give these fields their defaults."
        )
    return spec


def _resize(resize: int | tuple[int, int] | None) -> ShorterSide | Exact | None:
    if resize is None:
        return None
    return Exact(resize) if isinstance(resize, tuple) else ShorterSide(resize)
