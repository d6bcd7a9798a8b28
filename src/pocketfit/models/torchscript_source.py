"""Models that `torch.jit.save` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError
from pocketfit.graph.base import relative_error
from pocketfit.models.quiet import quiet
from pocketfit.models.source import Source, shapes_of
from pocketfit.models.torchscript.module import ScriptedModel
from pocketfit.models.torchscript.safety import check_nodes, check_script, is_script
from pocketfit.rows import spelled
from pocketfit.types import InputShape

__all__ = ["from_torchscript", "is_torchscript"]

SUFFIXES = (".ts", ".torchscript")
# These may be checkpoints as well; what lies inside says which.
SHARED_SUFFIXES = (".pt", ".pth", ".ptl")

# The same kernels on the same numbers, called from Python instead of by the interpreter.
TOLERANCE = 1e-5


def is_torchscript(spec: str) -> bool:
    """Whether a specification is the path of a TorchScript file."""
    path = Path(spec)
    return path.suffix in SUFFIXES or (path.suffix in SHARED_SUFFIXES and path.is_file() and is_script(path))


def from_torchscript(path: Path, input_shape: InputShape | None = None) -> Source:
    """Read a traced, scripted or frozen module, and prove that what is made of it answers as the file does.

    Nothing of the file is run before it was looked through: see `torchscript.safety`.

    Args:
        path: of the file.
        input_shape: without the batch, one for each of several inputs; a TorchScript file does not say it.

    Raises:
        ModelError: the file is missing, damaged or unsafe, takes another number of inputs, uses what has no counterpart
            in a graph, or what is made of it answers otherwise.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of a TorchScript file.")
    check_script(path)
    script, unit = _load(path)
    check_nodes(script, path)
    shapes = None if input_shape is None else shapes_of(input_shape)
    defaults, names = _defaults(script, path, shapes)
    module = ScriptedModel(script, lambda name: unit.find_function(name).graph, defaults, names).eval()
    if shapes is not None:
        _check_parity(script, module, shapes)
    return Source(module, path.stem, input_shape)


def _load(path: Path) -> tuple[Any, Any]:
    """The module in evaluation mode and float32, and where its functions are found: `torch.jit.load` forgets them."""
    unit = torch._C.CompilationUnit()
    try:
        with quiet():
            load: Any = torch._C.import_ir_module  # its stub lacks the last argument
            wrap: Any = torch.jit._recursive.wrap_cpp_module
            return wrap(load(unit, str(path), torch.device("cpu"), {}, False)).eval().float(), unit
    # The reader fails with whatever the damaged part makes it fail with.
    except Exception as error:
        raise ModelError(
            f"{path} cannot be loaded by torch {torch.__version__}: {_first_line(error)}\n"
            "Save it again with this release of torch, on the CPU."
        ) from error


def _defaults(script: Any, path: Path, shapes: Sequence[tuple[int, ...]] | None) -> tuple[list[Any], list[str]]:
    """What is filled in behind the inputs, and the names of several inputs."""
    _, *inputs = script._c._get_method("forward").schema.arguments
    needed = [one.name for one in inputs if not one.has_default_value()]
    count = max(1, len(needed)) if shapes is None else len(shapes)
    if not len(needed) <= count <= len(inputs):
        raise ModelError(
            f"{path} takes {len(needed)} inputs: {', '.join(needed) or 'none'}; --input names {count}. Join their "
            "shapes by +, such as 3x224x224+10, or script or trace a module that fills in the others."
        )
    names = [one.name for one in inputs[:count]] if count > 1 else ["input"]
    return [one.default_value for one in inputs[count:]], names


def _check_parity(script: Any, module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> None:
    generator = torch.Generator().manual_seed(0)
    for numbers in (torch.randn, torch.rand):
        inputs = [numbers(1, *shape, generator=generator) for shape in shapes]
        with torch.no_grad(), quiet():
            difference = _difference(_reference(script, inputs), module(*(value.clone() for value in inputs)))
        if difference > TOLERANCE:
            raise ModelError(
                f"The module made from the file differs from it by {difference:.2g} of the output's range; "
                f"{TOLERANCE:.0e} is allowed. A model that draws random numbers or keeps state between calls cannot be "
                "deployed; report any other together with the model."
            )


def _reference(script: Any, inputs: Sequence[Tensor]) -> Any:
    try:
        return script(*(value.clone() for value in inputs))
    # Any operator may complain in its own way.
    except Exception as error:
        shape = spelled(value.shape[1:] for value in inputs)
        raise ModelError(
            f"The file cannot be run with the input {shape}: {_last_line(error)}\n"
            "Give the input it was made for as --input channels x height x width, such as --input 3x224x224."
        ) from error


def _difference(expected: Any, got: Any) -> float:
    pairs = list(zip(_tensors(expected), _tensors(got), strict=True))
    if any(one.shape != other.shape for one, other in pairs):
        return float("inf")
    return max((relative_error(one, other) for one, other in pairs), default=0.0)


def _tensors(output: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def _last_line(error: Exception) -> str:
    """TorchScript prints where it was, and what was wrong behind it."""
    return next(reversed(str(error).strip().splitlines()), "")
