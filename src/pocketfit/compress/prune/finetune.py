"""A pruned model trained to answer as the unpruned one does, and as the labels say where there are any.

The loop is `compress.training`'s: `accelerate`, moving average, checkpoints that a killed training goes on from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.training.loop import Step, Student, check_samples, content_of, learn
from pocketfit.compress.training.optimizer import weights_and_biases
from pocketfit.compress.training.recipe import LoopRecipe
from pocketfit.graph.affine_layer import WEIGHTED
from pocketfit.graph.running import plain_copy
from pocketfit.models.weights import with_weights
from pocketfit.store import key_of
from pocketfit.types import LoadedModel, Samples

__all__ = ["finetune", "finetuning_recipe"]


def finetuning_recipe(epochs: int) -> LoopRecipe:
    """What suits float weights that were fitted already: rates far above those of quantized ones."""
    return LoopRecipe(epochs=epochs, batch=64, weight_rate=1e-3, bias_rate=1e-3, clip_norm=5)


def finetune(
    model: LoadedModel,
    teacher: LoadedModel,
    samples: Samples,
    recipe: LoopRecipe,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Step], None] | None = None,
) -> LoadedModel:
    """Train all weights and biases of a float model.

    Args:
        model: what learns; left as it is.
        teacher: what it learns from; takes and answers the same.
        samples: to learn from; without labels the teacher alone is followed.
        recipe: how.
        checkpoint: file that is written now and then, and taken up if it is there; None for none.
        progress: told of each step.

    Raises:
        DataError: there are no samples, or a label is none of the model's classes.
        OptionError: the training diverges.
        OutputError: the checkpoint cannot be written.
        RuntimeMissing: `accelerate` is not installed.
        WeightsError: the checkpoint cannot be read, or belongs to another training.
    """
    check_samples(model, samples)
    graph, weights, biases = _trainable(model.graph)
    student = Student(
        graph, model.dynamic_batch, weights_and_biases(list(weights.values()), list(biases.values()), recipe)
    )
    key = _key(model, teacher, samples, recipe)
    learn(student, teacher, samples, recipe, key=key, checkpoint=checkpoint, progress=progress)
    return with_weights(model, {path: value.detach().cpu().clone() for path, value in {**weights, **biases}.items()})


def _trainable(graph: GraphModule) -> tuple[GraphModule, dict[str, nn.Parameter], dict[str, nn.Parameter]]:
    """A copy of the graph, and its layers' weights and biases as parameters by their attribute path."""
    copied = plain_copy(graph).requires_grad_(False)
    weights: dict[str, nn.Parameter] = {}
    biases: dict[str, nn.Parameter] = {}
    for node in copied.graph.nodes:
        if node.target in WEIGHTED:
            for argument, place in zip(node.args[1:3], (weights, biases), strict=False):
                if isinstance(argument, torch.fx.Node) and argument.op == "get_attr":
                    path = str(argument.target)
                    place[path] = _parameter(copied, path)
    return copied, weights, biases


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


def _key(model: LoadedModel, teacher: LoadedModel, samples: Samples, recipe: LoopRecipe) -> str:
    return key_of(
        {
            "model": model.fingerprint,
            "teacher": teacher.fingerprint,
            "samples": content_of(samples),
            "labelled": samples.labels is not None,
            "recipe": asdict(recipe),
        }
    )
