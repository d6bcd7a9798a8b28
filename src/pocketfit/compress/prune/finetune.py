"""A pruned model trained to answer as the unpruned one does, and as the labels say where there are any.

The loop is that of quantization-aware training, without quantizers: `accelerate`, moving average, checkpoints that a
killed training goes on from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.fx import GraphModule

from pocketfit.compress.quantize.qat.processes import accelerator_for
from pocketfit.compress.quantize.qat.recipe import TrainingRecipe, Trains
from pocketfit.compress.quantize.qat.train import Step, Training, check_samples, order_for
from pocketfit.compress.quantize.qat.trainable import Trainable
from pocketfit.graph.affine_layer import WEIGHTED
from pocketfit.graph.running import plain_copy
from pocketfit.models.weights import with_weights
from pocketfit.store import key_of
from pocketfit.types import LoadedModel, Samples

__all__ = ["finetune", "finetuning_recipe"]


def finetuning_recipe(epochs: int) -> TrainingRecipe:
    """What suits float weights that were fitted already: rates far above those of quantized ones."""
    return TrainingRecipe(
        epochs=epochs, batch=64, trains=Trains.EVERYTHING, weight_rate=1e-3, bias_rate=1e-3, clip_norm=5
    )


def finetune(
    model: LoadedModel,
    teacher: LoadedModel,
    samples: Samples,
    recipe: TrainingRecipe,
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
    accelerator = accelerator_for(recipe)
    trainable = _trainable(model.graph)
    order = order_for(len(samples.inputs), recipe, accelerator)
    training = Training(teacher, trainable, samples, order, recipe, accelerator)
    training.resume_from(checkpoint, _key(model, teacher, samples, recipe))
    with torch.enable_grad():
        training.run(progress or _nobody)
    training.average.apply()
    parameters = {**trainable.weights, **trainable.biases}
    return with_weights(model, {path: value.detach().cpu().clone() for path, value in parameters.items()})


def _trainable(graph: GraphModule) -> Trainable:
    """A copy of the graph whose layers' numbers are its parameters; biases, too, by their attribute path."""
    copied = plain_copy(graph).requires_grad_(False)
    weights: dict[str, nn.Parameter] = {}
    biases: dict[str, nn.Parameter] = {}
    for node in copied.graph.nodes:
        if node.target in WEIGHTED:
            for argument, place in zip(node.args[1:3], (weights, biases), strict=False):
                if isinstance(argument, torch.fx.Node) and argument.op == "get_attr":
                    path = str(argument.target)
                    place[path] = _parameter(copied, path)
    return Trainable(copied, weights, biases, {}, {})


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


def _key(model: LoadedModel, teacher: LoadedModel, samples: Samples, recipe: TrainingRecipe) -> str:
    return key_of(
        {
            "model": model.fingerprint,
            "teacher": teacher.fingerprint,
            "samples": samples.fingerprint,
            "labelled": samples.labels is not None,
            "recipe": asdict(recipe),
        }
    )


def _nobody(step: Step) -> None:
    pass
