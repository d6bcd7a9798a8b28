"""Models that `torch.export.save` wrote."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from pocketfit.contract import Contract, contract_from_json
from pocketfit.errors import ModelError, OptionError
from pocketfit.models.archive import check_archive
from pocketfit.models.quiet import quiet
from pocketfit.models.source import Source

__all__ = ["PREPROCESS", "from_exported", "read_program"]

# The preprocessing contract as JSON, among the archive's extra files.
PREPROCESS = "preprocess.json"


def from_exported(path: Path) -> Source:
    """Read a `.pt2` file; its input shapes come from the graph, its preprocessing from beside it where it is there.

    Raises:
        ModelError: the file is missing, damaged or unsafe, its graph has no inputs or of no fixed size, or its
            preprocessing is no contract.
    """
    extra = {PREPROCESS: ""}
    program = read_program(path, extra)
    shapes = [_input_shape(program, str(name), path) for name in program.graph_signature.user_inputs]
    if not shapes:
        raise ModelError(f"{path} has no inputs. Export a module that takes some.")
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    shape = shapes[0] if len(shapes) == 1 else tuple(shapes)
    return Source(module, path.stem, shape, _preprocess(extra[PREPROCESS], path))


def read_program(path: Path, extra: dict[str, str] | None = None) -> ExportedProgram:
    """Check a `.pt2` archive and load it.

    Args:
        path: of the archive.
        extra: texts stored beside the graph, by name; those that are there are filled in.

    Raises:
        ModelError: the file is missing, damaged, from another release of torch, or holds anything but tensors and a
            graph.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of a torch.export file.")
    check_archive(path)
    try:
        with quiet():
            return torch.export.load(path, extra_files=extra)
    # The reader fails with whatever the damaged part makes it fail with.
    except Exception as error:
        raise ModelError(
            f"{path} cannot be loaded by torch {torch.__version__}: {type(error).__name__}: {error}\n"
            "Export it again with this release of torch."
        ) from error


def _preprocess(text: str, path: Path) -> Contract | None:
    try:
        return contract_from_json(text) if text else None
    except OptionError as error:
        raise ModelError(f"the preprocessing in {path} cannot be used: {error}") from error


def _input_shape(program: ExportedProgram, name: str, path: Path) -> tuple[int, ...]:
    node = next(node for node in program.graph.nodes if node.name == name)
    value = node.meta["val"]
    shape = tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()
    if not shape or not all(isinstance(size, int) for size in shape):
        raise ModelError(f"{path} takes {value}; export it with a fixed input size, only the batch may be dynamic.")
    return tuple(int(size) for size in shape)
