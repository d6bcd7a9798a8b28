"""A loaded model as a folder: for the store, and to hand it to child processes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from pocketfit.contract import Contract, contract_to_json
from pocketfit.errors import ModelError
from pocketfit.models.export import export_model, graph_of
from pocketfit.models.exported import PREPROCESS, read_program
from pocketfit.models.fingerprint import fingerprint
from pocketfit.types import LoadedModel, TensorSpec

__all__ = ["restore", "save", "write_program"]

GRAPH = "model.pt2"
FIELDS = "model.json"


@dataclass(frozen=True)
class _Fields:
    """Everything of a `LoadedModel` but its graph."""

    name: str
    source: str
    input: TensorSpec
    output: TensorSpec
    dynamic_batch: bool
    fingerprint: str
    preprocess: Contract | None
    more_outputs: tuple[TensorSpec, ...] = ()
    more_inputs: tuple[TensorSpec, ...] = ()


_ADAPTER = TypeAdapter(_Fields)


def save(model: LoadedModel, folder: Path) -> None:
    """Write `model.pt2` and `model.json` into an existing folder.

    Args:
        model: in canonical form; `restore` gives the same node names and attribute paths.
        folder: where to write.
    """
    write_program(model, folder / GRAPH)
    fields = {name: value for name, value in vars(model).items() if name != "graph"}
    (folder / FIELDS).write_bytes(_ADAPTER.dump_json(_Fields(**fields), indent=2))


def write_program(model: LoadedModel, path: Path) -> None:
    """Write the graph as `torch.export.save` would, and what the model says of its preprocessing beside it.

    Args:
        model: in canonical form.
        path: of the `.pt2` file, in an existing folder.
    """
    program = export_model(model)
    # Through memory: on a full disk torch's own writer ends the process instead of raising.
    content = io.BytesIO()
    extra = {} if model.preprocess is None else {PREPROCESS: contract_to_json(model.preprocess)}
    torch.export.save(program, content, extra_files=extra)
    path.write_bytes(content.getbuffer())


def restore(folder: Path) -> LoadedModel:
    """Read what `save` wrote.

    Raises:
        ModelError: the files are missing, damaged, or do not belong together.
    """
    try:
        fields = _ADAPTER.validate_json((folder / FIELDS).read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(f"{folder / FIELDS} cannot be read: {error}. Delete the folder and run again.") from error
    graph = graph_of(read_program(folder / GRAPH))
    if fingerprint(graph) != fields.fingerprint:
        raise ModelError(f"{folder / GRAPH} is not the model that {FIELDS} describes. Delete the folder and run again.")
    return LoadedModel(graph=graph, **vars(fields))
