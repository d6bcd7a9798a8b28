"""The same network for smaller images: resolution scaling.

Source: Howard et al., "MobileNets", 2017, section 3.4: the resolution multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pocketfit.data.scaled import scaled
from pocketfit.errors import InputError, ModelError, OptionError
from pocketfit.graph.running import plain_copy
from pocketfit.models.canonical import canonicalise
from pocketfit.models.load import load_model
from pocketfit.types import LoadedModel

__all__ = ["ResolutionRecipe", "resized"]


@dataclass(frozen=True)
class ResolutionRecipe:
    """What images the model is to take.

    Args:
        size: height and width in pixels, below the model's own.
    """

    size: tuple[int, int]


def resized(model: LoadedModel, recipe: ResolutionRecipe, *, weights: Path | None = None) -> LoadedModel:
    """The model with its weights for smaller images, and its preprocessing, where it has one, scaled alike.

    It is built again for the new size where its source knows how to; a file of fixed size has its graph run at it.

    Args:
        model: loaded from its `source`.
        recipe: the new size.
        weights: as `load_model` was given them.

    Raises:
        ModelError: the model cannot take images of that size.
        OptionError: it takes no images, none smaller is asked for, or its preprocessing crops images as they come.
    """
    before = model.input.shape[1:]
    if model.more_inputs or len(before) != 3 or before[0] not in (1, 3):
        raise OptionError(f"{model.name} takes {_text(before)}, not one image of 1 or 3 channels x height x width.")
    shape = (before[0], *recipe.size)
    if shape == before or any(new > old for new, old in zip(shape, before, strict=True)):
        raise OptionError(f"{_text(shape)} is not smaller than the {_text(before)} of {model.name}. Ask for less.")
    contract = None if model.preprocess is None else scaled(model.preprocess, before, shape)
    if model.preprocess is not None and contract is None:
        raise OptionError(
            f"the preprocessing of {model.name} crops images without resizing them first, which has no smaller "
            "counterpart. Say --resize."
        )
    return replace(_built(model, shape, weights), preprocess=contract)


def _built(model: LoadedModel, shape: tuple[int, ...], weights: Path | None) -> LoadedModel:
    try:
        found = _loaded(model, shape, weights)
    # Sizes that are built into a graph make its ops fail with whatever they have.
    except (RuntimeError, InputError) as error:
        raise _refusal(model, shape, str(error).strip().splitlines()[0]) from error
    # Classes or an embedding have nothing to do with the size of the image; a map of pixels shrinks with it.
    ranks = [len(one.shape) for one in model.outputs]
    flat = [one.shape for one in model.outputs if len(one.shape) < 4]
    if ranks != [len(one.shape) for one in found.outputs] or flat != [
        one.shape for one in found.outputs if len(one.shape) < 4
    ]:
        raise _refusal(model, shape, f"it would answer {_text(found.output.shape)} for {_text(model.output.shape)}")
    return found


def _loaded(model: LoadedModel, shape: tuple[int, ...], weights: Path | None) -> LoadedModel:
    try:
        found = load_model(model.source, weights=weights, input_shape=shape, name=model.name)
        if found.input.shape[1:] == shape:
            return found
    except InputError:
        pass
    return canonicalise(plain_copy(model.graph), shape, name=model.name, source=model.source)


def _refusal(model: LoadedModel, shape: tuple[int, ...], reason: str) -> ModelError:
    return ModelError(
        f"{model.name} cannot take {_text(shape)}: {reason}\nA network whose layers fit one size only, such as a "
        "linear layer behind a flattened image, cannot be given another. Try a size that its strides divide, or "
        "another --form."
    )


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
