"""What a TorchScript file may hold before torch is allowed to load it, and before it is run.

`torch.jit.load` (torch 2.13) runs no Python: the pickles of the archive are read by a reader in C++ that builds
numbers, texts, tensors and objects of classes whose TorchScript source lies in the archive. But TorchScript is a
programming language. Its `__setstate__` methods are run while a file is loaded, `torch.classes` objects are built by
compiled libraries, and two of its operators, `aten::save` and `aten::from_file`, write to any file that the process may
write to. A network needs none of these, so they are refused before anything of the file is run.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pocketfit.errors import ModelError

__all__ = ["check_nodes", "check_script", "is_script"]

_CODE = "code/"
_FORBIDDEN = {"__setstate__": "runs code while it is loaded", "torch.classes": "holds objects of compiled libraries"}
_QUANTIZED = "Models quantized by torch have both: give the float model from before that."


def is_script(path: Path) -> bool:
    """Whether a file is an archive with TorchScript code in it; a checkpoint has none."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(_inner(name).startswith(_CODE) for name in archive.namelist())


def check_script(path: Path) -> None:
    """Refuse a file that is damaged, or that would do more than build modules while it is loaded.

    Raises:
        ModelError: saying what is not allowed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            sources = [archive.read(name) for name in archive.namelist() if _inner(name).startswith(_CODE)]
    except (zipfile.BadZipFile, EOFError, ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be read as TorchScript: {error}. Copy or save it again.") from error
    if damaged or not sources:
        trouble = f"is damaged at {damaged}" if damaged else "holds no TorchScript"
        raise ModelError(f"{path} {trouble}. Copy it again, or write it with torch.jit.save(module, path).")
    for word, meaning in _FORBIDDEN.items():
        if any(word.encode() in source for source in sources):
            raise ModelError(f"{path} {meaning} ({word}), and Pocketfit lets no file do that. {_QUANTIZED}")


def check_nodes(script: Any, path: Path) -> None:
    """Refuse operators that reach outside the model, those of other libraries, and code that stands around the model.

    Args:
        script: as `torch.jit.load` gives it; not run yet.
        path: for the message.

    Raises:
        ModelError: naming the operator.
    """
    if script._c._get_forward_hooks() or script._c._get_forward_pre_hooks():
        raise ModelError(f"{path} has hooks around its forward. Do in forward what they do, and save the module again.")
    for node in _nodes(script.inlined_graph):
        space, _, name = node.kind().partition("::")
        if space not in ("aten", "prim"):
            raise ModelError(
                f"{path} uses {node.kind()}, which is no operator of torch itself. "
                "Cut the model before it, and do this step in the app."
            )
        if space == "aten" and "filename" in str(node.schema()):
            raise ModelError(f"{path} uses aten::{name}, which opens files. Pocketfit runs no such model.")


def _nodes(block: torch._C.Graph | torch._C.Block) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _inner(name: str) -> str:
    """Below the archive's own folder."""
    return name.partition("/")[2]
