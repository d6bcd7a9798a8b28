"""The modules of a TorchScript file as modules of torch, which `torch.export` can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from pocketfit.models.torchscript.interpreter import Functions, constants_of, run

__all__ = ["ScriptedModel", "ScriptedModule"]


class ScriptedModule(nn.Module):
    """A module with the names, children and weights that it has in the file; its methods run node by node in Python.

    Python decides branches and loops, so that none of them is left in an exported graph, and every operator knows the
    path of its module.

    Args:
        script: as `torch.jit.load` gives it.
        functions: those of the file that belong to no module.
    """

    def __init__(self, script: Any, functions: Functions) -> None:
        super().__init__()
        self._script, self._functions = (script,), functions
        for name, parameter in script.named_parameters(recurse=False):
            self.register_parameter(name, nn.Parameter(parameter.detach(), requires_grad=False))
        for name, buffer in script.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        for name, child in script.named_children():
            self.add_module(name, ScriptedModule(child, functions))
        self._graphs: dict[str, Any] = {}
        self._constants: dict[str, dict[str, str]] = {}
        for method in script._c._method_names():
            self._hold(method, script._c._get_method(method).graph)

    def forward(self, *inputs: Any) -> Any:
        """What the file's forward returns."""
        return self.call("forward", inputs)

    def call(self, method: str, inputs: Sequence[Any]) -> Any:
        """Run a method of the file; `forward` goes through the module itself, so that its path is known."""
        return run(self._graphs[method], (self, *inputs), self._functions, self._held(method))

    def attribute(self, name: str) -> Any:
        """A child, a weight, or a plain value."""
        # In the file, evaluation mode is a value like any other.
        return getattr(self, name) if hasattr(self, name) else getattr(self._script[0], name)

    def _hold(self, method: str, graph: Any) -> None:
        """Register the tensors that lie in the code itself: all weights of a frozen module do."""
        self._graphs[method], self._constants[method] = graph, {}
        for value, tensor in constants_of(graph):
            name = f"constant_{sum(map(len, self._constants.values()))}"
            self.register_buffer(name, tensor)
            self._constants[method][value] = name

    def _held(self, method: str) -> Mapping[str, Tensor]:
        return {value: self.get_buffer(name) for value, name in self._constants[method].items()}


class ScriptedModel(ScriptedModule):
    """The outermost module: takes tensors alone.

    Args:
        script: as `ScriptedModule` takes it.
        functions: likewise.
        defaults: of what `forward` takes behind the tensors.
        names: of the tensors.
    """

    def __init__(self, script: Any, functions: Functions, defaults: Sequence[Any], names: Sequence[str]) -> None:
        super().__init__(script, functions)
        self._defaults, self.input_names = tuple(defaults), list(names)

    def forward(self, *inputs: Tensor) -> Any:
        """What the file's forward returns for a batch."""
        return self.call("forward", (*inputs, *self._defaults))
