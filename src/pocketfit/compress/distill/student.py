"""What can learn: a model in canonical form, or a module of the user's that still has its batch norms."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.training.loop import Student
from pocketfit.compress.training.optimizer import Group
from pocketfit.compress.training.recipe import LoopRecipe
from pocketfit.graph.affine_layer import WEIGHTED
from pocketfit.graph.running import plain_copy
from pocketfit.types import LoadedModel

__all__ = ["graph_student", "module_student", "parameters_of"]


def graph_student(model: LoadedModel, recipe: LoopRecipe) -> Student:
    """A copy of the graph whose layers' weights and biases learn: for a pruned, slim or exported model.

    Its batch norms are folded into the layers, which suits weights that are good already.
    """
    graph = plain_copy(model.graph).requires_grad_(False)
    paths = [path for node in graph.graph.nodes if node.target in WEIGHTED for path in _constants(node)]
    learning = {path: _parameter(graph, path) for path in dict.fromkeys(paths)}
    return Student(model, graph, _groups(learning, recipe))


def module_student(module: nn.Module, model: LoadedModel, recipe: LoopRecipe) -> Student:
    """The module itself in training mode, batch norm and dropout with it: for a network of the user's or of a zoo.

    Args:
        module: changed in place.
        model: its canonical form before the training.
        recipe: for the rates.
    """
    module.train().requires_grad_(True)
    return Student(model, module, _groups(dict(module.named_parameters()), recipe), has_statistics=True)


def parameters_of(student: Student) -> Mapping[str, torch.Tensor]:
    """What has learnt, by its path, on the CPU."""
    learning = {id(parameter) for group in student.groups for parameter in group.parameters}
    found = student.network.named_parameters()
    return {path: value.detach().cpu().clone() for path, value in found if id(value) in learning}


def _constants(node: torch.fx.Node) -> list[str]:
    """Attribute paths of a layer's weight and bias."""
    arguments = [one for one in node.args[1:3] if isinstance(one, torch.fx.Node)]
    return [str(one.target) for one in arguments if one.op == "get_attr"]


def _groups(parameters: Mapping[str, nn.Parameter], recipe: LoopRecipe) -> list[Group]:
    """Biases and what scales a channel, without decay; weights with it."""
    small = [one for one in parameters.values() if one.ndim <= 1]
    large = [one for one in parameters.values() if one.ndim > 1]
    return [Group(small, recipe.bias_rate), Group(large, recipe.weight_rate, recipe.weight_decay)]


def _parameter(graph: GraphModule, path: str) -> nn.Parameter:
    owner, _, name = path.rpartition(".")
    module = graph.get_submodule(owner)
    current = getattr(module, name)
    if not isinstance(current, nn.Parameter):
        delattr(module, name)
        module.register_parameter(name, nn.Parameter(current.detach().clone()))
    parameter: nn.Parameter = getattr(module, name)
    parameter.requires_grad_()
    return parameter
