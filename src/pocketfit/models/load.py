"""From what the user wrote to a model in canonical form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from pocketfit.errors import ModelError, WeightsError
from pocketfit.importing import is_reference
from pocketfit.models.canonical import canonicalise
from pocketfit.models.checkpoint import load_weights
from pocketfit.models.exported import from_exported
from pocketfit.models.factory import from_factory
from pocketfit.models.keras_source import from_keras
from pocketfit.models.onnx_source import from_onnx, is_onnx
from pocketfit.models.source import Source, only_shape
from pocketfit.models.tensorflow_source import from_tensorflow, is_tensorflow
from pocketfit.models.timm_source import from_timm
from pocketfit.models.torchscript_source import from_torchscript, is_torchscript
from pocketfit.models.zoo_source import from_zoo
from pocketfit.types import InputShape, LoadedModel

__all__ = ["find_source", "load_model"]

TIMM, ZOO = "timm:", "zoo:"


def load_model(
    spec: str,
    *,
    weights: Path | None = None,
    input_shape: InputShape | None = None,
    name: str | None = None,
) -> LoadedModel:
    """Load a model and bring it into canonical form.

    Args:
        spec: `package.module:factory`, `file.py:factory`, `timm:NAME`, `zoo:NAME`, or the path of a `torch.export`
            file (`.pt2`), a TorchScript file (`.ts`, `.torchscript`, or a `.pt` that is one), an ONNX file (`.onnx`;
            `model.onnx#name` for one of several outputs), a Keras file (`.keras`), or, through TensorFlow, a float
            `.tflite` file or the folder of a SavedModel.
        weights: state dict (`.pth`, `.pt`, `.safetensors`) to put into the module; never with one of these files, which
            have their own.
        input_shape: channels, height, width without the batch, or a shape for each of several inputs; where None, the
            model has to say.
        name: short name for tables and file names; where None, taken from `spec`.

    Raises:
        ModelError: the model cannot be imported, built or exported.
        WeightsError: the weights are missing, corrupt, unsafe, not finite or do not fit.
        RuntimeMissing: timm, Keras or TensorFlow is needed and not installed.
    """
    source = find_source(spec, weights=weights, input_shape=input_shape, name=name)
    shape = _known(source, spec)
    return canonicalise(source.module, shape, name=source.name, source=spec, preprocess=source.preprocess)


def find_source(
    spec: str,
    *,
    weights: Path | None = None,
    input_shape: InputShape | None = None,
    name: str | None = None,
) -> Source:
    """Build the module that a specification names and load its weights; arguments and errors are `load_model`'s."""
    # With a fixed seed, a model whose weights nobody gave is the same in every run, and its stored results are found.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source = _source(spec, weights, input_shape)
    if weights is not None:
        load_weights(source.module, weights)
    source = replace(source, name=name or source.name, input_shape=input_shape or source.input_shape)
    return replace(source, input_shape=_known(source, spec))


def _source(spec: str, weights: Path | None, input_shape: InputShape | None) -> Source:
    if spec.startswith(TIMM):
        return from_timm(spec.removeprefix(TIMM), _one(input_shape, spec))
    if spec.startswith(ZOO):
        return from_zoo(spec.removeprefix(ZOO))
    from_file = _file_reader(spec)
    if from_file is not None:
        if weights is not None:
            raise WeightsError(f"{spec} has its weights inside; leave --weights {weights} out.")
        return from_file(spec, input_shape)
    if is_reference(spec):
        return from_factory(spec)
    raise ModelError(f"{spec!r} is not a model that Pocketfit can load. {_advice(spec)}")


def _file_reader(spec: str) -> Callable[[str, InputShape | None], Source] | None:
    """What reads a file that holds layers and weights; None where the specification names none."""
    if is_onnx(spec):
        return from_onnx
    if is_tensorflow(spec):
        return from_tensorflow
    if is_torchscript(spec):
        return lambda path, shape: from_torchscript(Path(path), shape)
    if Path(spec).suffix == ".keras":
        return lambda path, shape: from_keras(Path(path), shape)
    return (lambda path, _: from_exported(Path(path))) if Path(spec).suffix == ".pt2" else None


def _one(shape: InputShape | None, spec: str) -> tuple[int, ...] | None:
    return None if shape is None else only_shape(shape, f"{spec} is for")


def _known(source: Source, spec: str) -> InputShape:
    if source.input_shape is None:
        raise ModelError(
            f"{spec} does not say what input it takes. Give --input, such as --input 3x224x224 (3x224x224+10 for two), "
            "or set module.input_shape = (3, 224, 224) in the factory."
        )
    return source.input_shape


def _advice(spec: str) -> str:
    if Path(spec).suffix in (".pth", ".pt", ".bin", ".safetensors"):
        return f"Weights alone do not say how the layers are connected: give file.py:factory --weights {spec}."
    if Path(spec).suffix == ".py":
        return f"Say which function builds it, such as {spec}:build."
    return (
        "Give package.module:factory, file.py:factory, timm:NAME, zoo:NAME, an ONNX file (.onnx), a Keras file "
        "(.keras), a torch.export file (.pt2), a TorchScript file (.ts), a SavedModel's folder or a float .tflite file."
    )
