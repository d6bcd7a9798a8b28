"""What a `.pt2` archive may hold before torch is allowed to load it.

`torch.export.load` is not safe on its own (torch 2.13): it unpickles weights flagged `use_pickle`, custom and opaque
constants and, where the safe way fails, the sample inputs; it opens compiled AOTInductor libraries; it resolves any
function of torch as the target of a node; it imports the modules that a tree specification names; and sympy evaluates
the expressions of sizes. A file that needs none of this is a plain one, and only plain ones pass.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pocketfit.errors import ModelError
from pocketfit.models.pickles import wanted_global

__all__ = ["check_archive"]

GRAPH = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")

# Everything that torch 2.13 writes for a plain program, below the archive's own folder, and the preprocessing as JSON.
_MEMBER = re.compile(
    r"archive_format|archive_version|byteorder|version|\.format_version|\.storage_alignment"
    r"|\.data/(version|serialization_id)|models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt"
    r"|extra/preprocess\.json"
)
# Operators, torch's own control flow, and the arithmetic on sizes that torch.export writes itself.
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized_decomposed)\.\w+(\.\w+)?"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|math\.(ceil|floor|trunc|sqrt)|torch\.sym_\w+"
)
# Sizes as sympy's srepr writes them, such as Mul(Symbol('s77', positive=True), Integer(4)). No dots: no attributes.
_EXPRESSION = re.compile(
    r"(?:[0-9+\-*/(),<>=&|~% ]|'[a-z]+\d+'|\b(?:[a-z]+\d+|int_oo|oo|[A-Z][A-Za-z]*"
    r"|positive|nonnegative|integer|real|zero|extended_real|finite|commutative)\b)*"
)
_CONTAINERS = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_SAFE = "Pocketfit reads tensors and graphs only and never unpickles or loads code."


def check_archive(path: Path) -> None:
    """Refuse a `.pt2` file that is damaged, or that would run code or import modules while it is loaded.

    Raises:
        ModelError: saying which part is not allowed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
    # What a damaged archive raises depends on which byte of it is wrong.
    except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise ModelError(
            f"{path} is not a file that torch.export.save wrote, or it is damaged ({type(error).__name__}: {error}). "
            "Copy or export it again."
        ) from error


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    damaged = archive.testzip()
    if damaged:
        raise ModelError(f"{path} is damaged at {damaged}. Copy or export it again.")
    members = {name.partition("/")[2]: name for name in archive.namelist()}
    _check_members(members, path)
    for config in CONFIGS:
        _check_payload(json.loads(archive.read(members[config])), path)
    _check_samples(archive.read(members[SAMPLES]), path)
    _check_graph(json.loads(archive.read(members[GRAPH])), path)


def _check_members(members: dict[str, str], path: Path) -> None:
    if GRAPH not in members:
        raise ModelError(f"{path} holds no graph. Write it with torch.export.save(program, path) of torch 2.13.")
    unknown = next((member for member in members if not _MEMBER.fullmatch(member)), None)
    if unknown is not None:
        raise ModelError(f"{path} holds {unknown!r}, which a plain torch.export file does not. {_SAFE} {_AGAIN}")


_AGAIN = "Export it again: torch.export.save(torch.export.export(model, (example,)), path)."


def _check_payload(config: dict[str, Any], path: Path) -> None:
    for name, payload in config["config"].items():
        if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
            raise ModelError(f"{path} keeps {name} as a pickled object. {_SAFE} Make it a plain tensor on the CPU.")


def _check_samples(content: bytes, path: Path) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    # A damaged pickle fails with anything; torch would go on and read it the unsafe way.
    except Exception as error:
        wanted = wanted_global(error)
        trouble = f"want to import {wanted}" if wanted else "cannot be read"
        raise ModelError(f"The sample inputs in {path} {trouble}. {_SAFE} {_AGAIN}") from error


def _check_graph(graph: object, path: Path) -> None:
    for key, value in _strings(graph):
        if key in ("in_spec", "out_spec"):
            _check_tree(json.loads(value)[1], path)
        pattern = {"target": _TARGET, "expr_str": _EXPRESSION}.get(key)
        if pattern is not None and not pattern.fullmatch(value):
            raise ModelError(
                f"{path} uses {value[:80]!r}, which is not an operator of torch.ops.aten. {_SAFE} "
                "Custom operators have no counterpart on phones; express them in plain torch."
            )


def _check_tree(tree: dict[str, Any], path: Path) -> None:
    """Tuples, lists and dicts with plain keys; torch would import whatever else is named."""
    context = json.loads(tree["context"]) if tree["type"] in _CONTAINERS and tree["context"] else []
    plain = all(isinstance(key, str | int) for key in context or [])
    if tree["type"] not in (None, "builtins.NoneType", *_CONTAINERS) or not plain:
        raise ModelError(f"{path} takes or returns a {tree['type']}. Allowed: tensors, tuples, lists and dicts.")
    for child in tree["children_spec"]:
        _check_tree(child, path)


def _strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a JSON document with the key it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from _strings(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)
