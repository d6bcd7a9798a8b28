"""Readable names of layers and weights, from those in an ONNX file."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import nn

from pocketfit.models.onnx_ops.call import OnnxNode

__all__ = ["layer_path", "place", "weight_path"]


def layer_path(node: OnnxNode) -> str:
    """Dotted path of a layer: `/features/features.0/features.0.1/Conv` is `features.0.1.Conv`."""
    if node.scope:
        return _dotted(f"{node.scope}.{node.op}")
    return _dotted(node.name) or node.op


def weight_path(name: str, reader: OnnxNode | None) -> str:
    """Dotted path of a weight: its own name, or, where that is only a number, that of the layer which reads it.

    Args:
        name: such as `features.0.weight`, which stays, or `onnx::Conv_44`.
        reader: the first node that reads it.
    """
    if reader is not None and _NUMBERED.fullmatch(name):
        index = reader.inputs.index(name)
        role = _ROLES.get(reader.op, {}).get(index, f"input_{index}")
        return f"{layer_path(reader).removesuffix('.' + reader.op)}.{role}"
    head, _, last = _dotted(name).rpartition(".")
    last = last if last.isidentifier() else f"weight_{last}"
    return f"{head}.{last}" if head else last


# Names that exporters give to what has none.
_NUMBERED = re.compile(r"(onnx::\w+|val)?_?\d+")
_LAYER = {1: "weight", 2: "bias"}
_ROLES: Mapping[str, Mapping[int, str]] = {
    "Conv": _LAYER,
    "ConvTranspose": _LAYER,
    "Gemm": _LAYER,
    "Linear": _LAYER,
    "MatMul": _LAYER,
    "BatchNormalization": {**_LAYER, 3: "running_mean", 4: "running_var"},
}


def _dotted(name: str) -> str:
    parts: list[str] = []
    for part in filter(None, name.split("/")):
        # torch writes the path of a container's child in full, behind that of the container.
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    return ".".join(_identifier(part) for part in re.split(r"[.:]+", ".".join(parts)) if part)


def place(root: nn.Module, path: str, item: nn.Module | torch.Tensor) -> str:
    """Hang a layer or a weight into a module, below empty modules for the parts of its path.

    Returns:
        The path it was given: with a number behind it where another thing has that name.
    """
    *parents, last = path.split(".")
    home, taken = root, []
    for part in parents:
        home, name = _child(home, part)
        taken.append(name)
    name = _free(home, last)
    if isinstance(item, nn.Module):
        home.add_module(name, item)
    elif item.is_floating_point():
        home.register_parameter(name, nn.Parameter(item, requires_grad=False))
    else:
        home.register_buffer(name, item)
    return ".".join((*taken, name))


def _child(home: nn.Module, part: str) -> tuple[nn.Module, str]:
    if isinstance(getattr(home, part, None), nn.Module):
        return getattr(home, part), part
    name, child = _free(home, part), nn.Module()
    home.add_module(name, child)
    return child, name


def _free(home: nn.Module, name: str) -> str:
    """A name that neither a layer, nor a weight, nor torch itself has."""
    if not hasattr(home, name):
        return name
    number = next(number for number in range(1, 1_000_000) if not hasattr(home, f"{name}_{number}"))
    return f"{name}_{number}"


def _identifier(part: str) -> str:
    return re.sub(r"\W", "_", part)
