"""Models that `torch.export.save` wrote."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from pocketfit.errors import ModelError
from pocketfit.models.archive import check_archive
from pocketfit.models.quiet import quiet
from pocketfit.models.source import Source

__all__ = ["from_exported", "read_program"]


def from_exported(path: Path) -> Source:
    """Read a `.pt2` file; its input shapes come from the graph.

    Raises:
        ModelError: the file is missing, damaged or unsafe, or its graph has no inputs or of no fixed size.
    """
    program = read_program(path)
    shapes = [_input_shape(program, str(name), path) for name in program.graph_signature.user_inputs]
    if not shapes:
        raise ModelError(f"{path} has no inputs. Export a module that takes some.")
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    return Source(module, path.stem, shapes[0] if len(shapes) == 1 else tuple(shapes))


def read_program(path: Path) -> ExportedProgram:
    """Check a `.pt2` archive and load it.

    Raises:
        ModelError: the file is missing, damaged, from another release of torch, or holds anything but tensors and a
            graph.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of a torch.export file.")
    check_archive(path)
    try:
        with quiet():
            return torch.export.load(path)
    # The reader fails with whatever the damaged part makes it fail with.
    except Exception as error:
        raise ModelError(
            f"{path} cannot be loaded by torch {torch.__version__}: {type(error).__name__}: {error}\n"
            "Export it again with this release of torch."
        ) from error


def _input_shape(program: ExportedProgram, name: str, path: Path) -> tuple[int, ...]:
    node = next(node for node in program.graph.nodes if node.name == name)
    value = node.meta["val"]
    shape = tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()
    if not shape or not all(isinstance(size, int) for size in shape):
        raise ModelError(f"{path} takes {value}; export it with a fixed input size, only the batch may be dynamic.")
    return tuple(int(size) for size in shape)
