"""Models that Keras 3 saved."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError, RuntimeMissing
from pocketfit.graph.base import outputs, relative_error
from pocketfit.models.keras_layers import use_torch_layers
from pocketfit.models.keras_layout import with_channels_first
from pocketfit.models.quiet import quiet
from pocketfit.models.source import Source, channels_first, channels_last, shapes_of
from pocketfit.types import InputShape

__all__ = ["from_keras"]


# Where layers were rewritten, sums run in another order; a wrong axis is off by far more.
TOLERANCE = 1e-4


class ChannelsFirst(nn.Module):
    """A Keras model that takes and gives images with channels first, as all models here.

    Args:
        model: on the torch backend.
        channels_last: whether it has them last itself, so that permutations are needed in front and behind.
        names: of its inputs, where it has several.
    """

    def __init__(self, model: nn.Module, *, channels_last: bool, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.model, self.channels_last = model, channels_last
        self.input_names = list(names) or ["input"]

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The model's output for a batch, or its list or dict of several."""
        given = [channels_last(value) for value in inputs] if self.channels_last else list(inputs)
        result = self.model(given if len(given) > 1 else given[0], training=False)
        return pytree.tree_map(channels_first, result) if self.channels_last else result


def from_keras(path: Path, input_shape: InputShape | None = None) -> Source:
    """Read a `.keras` file through Keras 3 on its torch backend; TensorFlow is not needed.

    A model with channels last is rebuilt with channels first and compared with what it was; where that cannot be done,
    permutations go around it.

    Args:
        path: of the file; no code in it is run.
        input_shape: channels, height, width, or a shape for each of several inputs; needed where the model leaves sizes
            open.

    Raises:
        RuntimeMissing: Keras is not installed, or runs on another backend in this process.
        ModelError: the file is missing or damaged, or holds code.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of a model that Keras 3 saved.")
    model = _load(_import_keras(), path)
    sizes = _sizes(model, path)
    images = any(len(one) == 3 for one in sizes) and _is_channels_last(model)
    shapes = _shapes([(one[2], *one[:2]) if images and len(one) == 3 else one for one in sizes], input_shape, path)
    names = [given.name for given in model.inputs] if len(sizes) > 1 else ()
    module = ChannelsFirst(model, channels_last=images, names=names).eval()
    rebuilt = _rebuilt(module, shapes)
    return Source(module if rebuilt is None else rebuilt, path.stem, shapes if len(shapes) > 1 else shapes[0])


def _rebuilt(module: ChannelsFirst, shapes: Sequence[tuple[int, ...]]) -> ChannelsFirst | None:
    """The same with channels first inside and torch's own layers; None where it does not answer the same."""
    model: Any = module.model
    config = model.get_config()
    try:
        twin = type(model).from_config(with_channels_first(config) if module.channels_last else config)
        twin.set_weights(model.get_weights())
        use_torch_layers(twin)
        rebuilt = ChannelsFirst(twin, channels_last=False, names=module.input_names).eval()
        return rebuilt if _difference(module, rebuilt, shapes) <= TOLERANCE else None
    # A layer that goes by the place of an axis fails in its own way, or gives other shapes.
    except Exception:
        return None


def _difference(one: nn.Module, other: nn.Module, shapes: Sequence[tuple[int, ...]]) -> float:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(2, *shape, generator=generator) for shape in shapes]
    with quiet():
        pairs = list(zip(outputs(one, *inputs), outputs(other, *inputs), strict=True))
    if any(expected.shape != got.shape for expected, got in pairs):
        return float("inf")
    return max(relative_error(expected, got) for expected, got in pairs)


def _import_keras() -> ModuleType:
    if importlib.util.find_spec("keras") is None:
        raise RuntimeMissing('Keras is not installed. Install it with: pip install "pocketfit[keras]"')
    # Keras reads it once, as it is imported.
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = importlib.import_module("keras")
    if keras.backend.backend() != "torch":
        raise RuntimeMissing(
            f"Keras runs on {keras.backend.backend()} here; Pocketfit needs its torch backend. Set KERAS_BACKEND=torch."
        )
    return keras


def _load(keras: ModuleType, path: Path) -> Any:
    try:
        with quiet():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    # Every layer has its own way to complain of its configuration.
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        raise ModelError(
            f"{path} cannot be loaded by Keras {keras.__version__}: {type(error).__name__}: {reason}\n"
            "Pocketfit runs no code from a file: Lambda layers and classes of your own have to be replaced by layers "
            "of Keras. Give a .keras file, not .h5; damaged ones have to be saved again."
        ) from error


def _sizes(model: Any, path: Path) -> list[tuple[int | None, ...]]:
    """Of each input, without the batch."""
    inputs: Any = getattr(model, "inputs", None) or ()
    if not inputs:
        raise ModelError(f"{path} does not say what its inputs are. Save keras.Model(inputs, outputs).")
    return [tuple(given.shape[1:]) for given in inputs]


def _is_channels_last(model: Any) -> bool:
    """As its layers say; one that says nothing is as Keras has it by default."""
    formats = {getattr(layer, "data_format", None) for layer in model._flatten_layers()}
    return "channels_first" not in formats


def _shapes(
    sizes: Sequence[tuple[int | None, ...]], given: InputShape | None, path: Path
) -> tuple[tuple[int, ...], ...]:
    asked = (None,) * len(sizes) if given is None else shapes_of(given)
    if len(asked) != len(sizes):
        raise ModelError(
            f"{path} has {len(sizes)} inputs and --input names {len(asked)}. Join their shapes by +: 3x224x224+10."
        )
    return tuple(_shape(one, shape, path) for one, shape in zip(sizes, asked, strict=True))


def _shape(sizes: tuple[int | None, ...], given: tuple[int, ...] | None, path: Path) -> tuple[int, ...]:
    written = "x".join("?" if size is None else str(size) for size in sizes)
    if given is None:
        if None in sizes:
            raise ModelError(
                f"{path} takes the input {written} and leaves sizes open. Give --input, such as 3x224x224."
            )
        return tuple(size for size in sizes if size is not None)
    if len(given) != len(sizes) or any(size not in (None, mine) for size, mine in zip(sizes, given, strict=True)):
        raise ModelError(f"{path} takes the input {written}; --input {'x'.join(map(str, given))} does not fit it.")
    return given
