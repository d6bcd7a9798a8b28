"""Tiny modules as the graphs that the passes take."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.models.quiet import quiet


class Function(nn.Module):
    """A module out of a function."""

    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


def export(module: nn.Module | Callable[[torch.Tensor], object], example: torch.Tensor) -> GraphModule:
    if not isinstance(module, nn.Module):
        module = Function(module)
    with quiet():
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    return program.module(check_guards=False)


def operations(module: GraphModule) -> list[str]:
    return [str(node.target).removeprefix("aten.") for node in module.graph.nodes if node.op == "call_function"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors this small take longer on two threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(name="export")
def _export() -> Callable[..., GraphModule]:
    return export


@pytest.fixture(name="operations")
def _operations() -> Callable[[GraphModule], list[str]]:
    return operations


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
