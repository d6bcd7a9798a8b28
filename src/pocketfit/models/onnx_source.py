"""Models from ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from onnx import ModelProto

from pocketfit.errors import ModelError
from pocketfit.models.onnx_model.fold import fold
from pocketfit.models.onnx_model.module import OnnxModule
from pocketfit.models.onnx_model.parity import check_parity
from pocketfit.models.onnx_model.program import Input, Program, program_of, without_rest
from pocketfit.models.onnx_model.read import read_file
from pocketfit.models.source import Source, shapes_of
from pocketfit.types import InputShape

__all__ = ["from_model", "from_onnx", "is_onnx"]

_SUFFIX = ".onnx"
# How many channels an image has: where the last axis of four is one of these, the file may want them behind.
_CHANNELS = (1, 3, 4)


def is_onnx(spec: str) -> bool:
    """Whether a specification is the path of an ONNX file, with or without `#output` behind it."""
    return Path(_split(spec)[0]).suffix == _SUFFIX


def from_onnx(spec: str, input_shape: InputShape | None = None) -> Source:
    """Read an ONNX file and prove, against ONNX Runtime, that the module made from it computes the same.

    A file that wants N×H×W×C gets a permutation in front: the module takes N×C×H×W, as all models here.

    Args:
        spec: path of the file; `model.onnx#name` for one of several outputs, or some, joined by commas.
        input_shape: without the batch, channels first, one for each of several inputs; needed where the file leaves
            sizes open.

    Raises:
        ModelError: the file is damaged, takes integers, has operators that cannot be turned, or the module computes
            something else.
    """
    path, output = _split(spec)
    return from_model(read_file(Path(path)), output, input_shape, spec)


def from_model(
    model: ModelProto, output: str | None, input_shape: InputShape | None, spec: str, *, images_last: bool = False
) -> Source:
    """The same for a model that was read.

    Args:
        model: as `read_file` gives it.
        output: name of the one that counts; None where there is only one.
        input_shape: without the batch, channels first, one for each of several inputs; needed where the file leaves
            sizes open.
        spec: for messages; its last part names the model.
        images_last: whether an input of four axes has its channels behind, unless the file speaks against it; and an
            output of four axes with it, which the module then gives with channels first.

    Raises:
        ModelError: as for `from_onnx`.
    """
    program = program_of(model, output)
    channels_last = [
        _is_channels_last(one, program) or (images_last and not _is_channels_first(one)) for one in program.inputs
    ]
    shapes = _shapes(program, input_shape, spec, channels_last)
    model = without_rest(model, program)
    program = fold(program)
    examples = [torch.zeros(program.batch or 1, *shape) for shape in shapes]
    module = OnnxModule(program, *examples, channels_last=channels_last)
    check_parity(module, model, *shapes)
    module.output_channels_last = images_last and any(channels_last)
    return Source(module, Path(_split(spec)[0]).stem, shapes if len(shapes) > 1 else shapes[0])


def _split(spec: str) -> tuple[str, str | None]:
    path, separator, output = spec.partition(f"{_SUFFIX}#")
    return (path + _SUFFIX, output) if separator else (spec, None)


def _is_channels_last(given: Input, program: Program) -> bool:
    """Whether an input has its channels behind; a convolution that reads it wants them in front."""
    sizes = given.sizes
    if len(sizes) != 4 or sizes[3] not in _CHANNELS or sizes[1] in _CHANNELS:
        return False
    # What is no larger than its channels is no image: the small map of a network cut in the middle.
    if any(size is not None and size <= sizes[3] for size in sizes[1:3]):
        return False
    return all(node.op != "Conv" for node in program.readers(given.name))


def _is_channels_first(given: Input) -> bool:
    """Whether no image comes in, or one with its channels in front."""
    sizes = given.sizes
    return len(sizes) != 4 or (sizes[1] in _CHANNELS and sizes[3] not in _CHANNELS)


def _shapes(
    program: Program, given: InputShape | None, spec: str, channels_last: Sequence[bool]
) -> tuple[tuple[int, ...], ...]:
    """The inputs without the batch, channels first."""
    asked = (None,) * len(program.inputs) if given is None else shapes_of(given)
    if len(asked) != len(program.inputs):
        names = ", ".join(repr(one.name) for one in program.inputs)
        raise ModelError(
            f"{spec} has {len(program.inputs)} inputs: {names}. --input names {len(asked)}: give a shape for each, "
            "joined by +, such as 3x224x224+10."
        )
    pairs = zip(program.inputs, asked, channels_last, strict=True)
    return tuple(_shape(one.sizes, shape, spec, channels_last=last) for one, shape, last in pairs)


def _shape(
    sizes: tuple[int | None, ...], given: tuple[int, ...] | None, spec: str, *, channels_last: bool
) -> tuple[int, ...]:
    if len(sizes) < 2:
        raise ModelError(f"{spec} takes an input of {len(sizes)} axes; a batch and one more are the least.")
    sizes = (sizes[3], *sizes[1:3]) if channels_last else sizes[1:]
    written = "x".join("?" if size is None else str(size) for size in sizes)
    if given is not None and not _fits(given, sizes):
        raise ModelError(f"{spec} takes the input {written}; --input {'x'.join(map(str, given))} does not fit it.")
    found = given or tuple(size for size in sizes if size is not None)
    if len(found) != len(sizes):
        raise ModelError(f"{spec} takes the input {written} and leaves sizes open. Give --input, such as 3x224x224.")
    return found


def _fits(given: tuple[int, ...], sizes: tuple[int | None, ...]) -> bool:
    return len(given) == len(sizes) and all(theirs in (None, mine) for mine, theirs in zip(given, sizes, strict=True))
