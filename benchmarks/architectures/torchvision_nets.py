"""Phone-sized networks of torchvision, one that labels every pixel among them."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.architectures.architecture import Architecture
from benchmarks.architectures.torchvision_package import import_torchvision

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TORCHVISION"]

# Name and arguments.
_NETS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mobilenet_v3_small", {}),
    ("shufflenet_v2_x0_5", {}),
    ("squeezenet1_1", {}),
    ("googlenet", {"aux_logits": False, "init_weights": False}),
    ("lraspp_mobilenet_v3_large", {"weights_backbone": None}),
)


def _architecture(name: str, arguments: dict[str, Any]) -> Architecture:
    build = partial(_build, name, arguments)
    return Architecture(f"{name} (torchvision)", "torchvision", (3, 64, 64), build, repr(arguments))


def _build(name: str, arguments: dict[str, Any]) -> nn.Module:
    import_torchvision()
    models = importlib.import_module("torchvision.models")
    module: nn.Module = models.get_model(name, weights=None, **arguments)
    return module


TORCHVISION = tuple(_architecture(*net) for net in _NETS)
