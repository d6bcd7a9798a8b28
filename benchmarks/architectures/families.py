"""One network of each family of the zoo, small images where the family allows them."""

from __future__ import annotations

import inspect
from importlib import import_module

from benchmarks.architectures.architecture import Architecture
from pocketfit.models.zoo import MODELS

__all__ = ["FAMILIES"]

_SHAPES = {
    "squeezenet1_1": (3, 64, 64),
    "shufflenet_v1_g3": (3, 64, 64),
    "shufflenet_v2_x0_5": (3, 64, 64),
    "mobilefacenet": (3, 112, 112),
    "ds_cnn_s": (1, 49, 10),
}


def _architecture(name: str, shape: tuple[int, ...]) -> Architecture:
    with_weights = MODELS[name]
    source = inspect.getsource(import_module(type(with_weights()).__module__))
    return Architecture(name, "zoo", shape, with_weights, source)


FAMILIES = tuple(_architecture(name, shape) for name, shape in _SHAPES.items())
