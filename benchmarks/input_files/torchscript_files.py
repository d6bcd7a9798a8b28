"""Networks of torch as TorchScript files, traced and scripted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from benchmarks.architectures import Architecture, architecture
from benchmarks.architectures.randomise import random_network
from benchmarks.architectures.torchvision_package import import_torchvision
from benchmarks.input_files.subject import File, Subject

__all__ = ["torchscript_subjects"]

TRACED = (
    "lstm",
    "transformer_encoder",
    "unet_bilinear",
    "yolo_head",
    "mobilenetv2_050",
    "swin_tiny_patch4_window7_224",
)
SCRIPTED = (
    "convolution_recurrent",
    "shufflenet_v2_x0_5 (torchvision)",
    "lraspp_mobilenet_v3_large (torchvision)",
    "densenet121",
    "resnet18",
)


def torchscript_subjects() -> Iterator[Subject]:
    """All of them."""
    for kind, names in (("traced", TRACED), ("scripted", SCRIPTED)):
        for name in names:
            yield Subject("torchscript", f"{kind}: {name}", partial(_save, architecture(name), kind))


def _save(network: Architecture, kind: str, folder: Path) -> File:
    if network.origin != "zoo":
        import_torchvision()
    module, path = random_network(network), folder / "model.ts"
    example = torch.zeros(1, *network.input_shape)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(module, example) if kind == "traced" else torch.jit.script(module), path)
    return File(str(path), network.input_shape, partial(_answer, module))


def _answer(module: nn.Module, batch: Tensor) -> Tensor:
    with torch.no_grad():
        (answer,) = pytree.tree_leaves(module(batch))
    assert isinstance(answer, Tensor)
    return answer
