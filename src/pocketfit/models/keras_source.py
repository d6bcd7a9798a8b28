"""Models that Keras 3 saved."""

from __future__ import annotations

import importlib
import importlib.util
import os
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
from pocketfit.models.source import Source, channels_first

__all__ = ["from_keras"]


# Where layers were rewritten, sums run in another order; a wrong axis is off by far more.
TOLERANCE = 1e-4


class ChannelsFirst(nn.Module):
    """A Keras model that takes and gives images with channels first, as all models here.

    Args:
        model: on the torch backend.
        channels_last: whether it has them last itself, so that permutations are needed in front and behind.
    """

    def __init__(self, model: nn.Module, *, channels_last: bool) -> None:
        super().__init__()
        self.model, self.channels_last = model, channels_last

    def forward(self, input: torch.Tensor) -> Any:
        """The model's output for a batch, or its list or dict of several."""
        if not self.channels_last:
            return self.model(input, training=False)
        return pytree.tree_map(channels_first, self.model(input.permute(0, 2, 3, 1), training=False))


def from_keras(path: Path, input_shape: tuple[int, ...] | None = None) -> Source:
    """Read a `.keras` file through Keras 3 on its torch backend; TensorFlow is not needed.

    A model with channels last is rebuilt with channels first and compared with what it was; where that cannot be done,
    permutations go around it.

    Args:
        path: of the file; no code in it is run.
        input_shape: channels, height, width; needed where the model leaves sizes open.

    Raises:
        RuntimeMissing: Keras is not installed, or runs on another backend in this process.
        ModelError: the file is missing or damaged, holds code, or has several inputs.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of a model that Keras 3 saved.")
    model = _load(_import_keras(), path)
    sizes = _sizes(model, path)
    channels_last = len(sizes) == 3 and _is_channels_last(model)
    shape = _shape((sizes[2], sizes[0], sizes[1]) if channels_last else sizes, input_shape, path)
    module = ChannelsFirst(model, channels_last=channels_last).eval()
    rebuilt = _rebuilt(module, shape)
    return Source(module if rebuilt is None else rebuilt, path.stem, shape)


def _rebuilt(module: ChannelsFirst, shape: tuple[int, ...]) -> ChannelsFirst | None:
    """The same with channels first inside and torch's own layers; None where it does not answer the same."""
    model: Any = module.model
    config = model.get_config()
    try:
        twin = type(model).from_config(with_channels_first(config) if module.channels_last else config)
        twin.set_weights(model.get_weights())
        use_torch_layers(twin)
        rebuilt = ChannelsFirst(twin, channels_last=False).eval()
        return rebuilt if _difference(module, rebuilt, shape) <= TOLERANCE else None
    # A layer that goes by the place of an axis fails in its own way, or gives other shapes.
    except Exception:
        return None


def _difference(one: nn.Module, other: nn.Module, shape: tuple[int, ...]) -> float:
    image = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    with quiet():
        pairs = list(zip(outputs(one, image), outputs(other, image), strict=True))
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


def _sizes(model: Any, path: Path) -> tuple[int | None, ...]:
    inputs: Any = getattr(model, "inputs", None) or ()
    if len(inputs) != 1:
        raise ModelError(
            f"{path} has {len(inputs)} inputs; Pocketfit fits models with one. "
            "Save keras.Model(input, outputs) of the one that counts."
        )
    return tuple(inputs[0].shape[1:])


def _is_channels_last(model: Any) -> bool:
    """As its layers say; one that says nothing is as Keras has it by default."""
    formats = {getattr(layer, "data_format", None) for layer in model._flatten_layers()}
    return "channels_first" not in formats


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
