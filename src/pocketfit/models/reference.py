"""What the module itself answers, and where it fails when it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError
from pocketfit.models.quiet import quiet
from pocketfit.rows import spelled

__all__ = ["answers"]


def answers(module: nn.Module, samples: Sequence[tuple[torch.Tensor, ...]]) -> list[tuple[torch.Tensor, ...]]:
    """Run the module on each sample.

    Args:
        module: in eval mode.
        samples: of each its float32 inputs, with batch 1.

    Returns:
        Per sample the float tensors that the module returns, each with batch 1.

    Raises:
        ModelError: it fails, quoting the layer; or what it returns is not finite float tensors with a batch.
    """
    with torch.no_grad(), quiet(), _entered(module) as layers:
        try:
            outputs = [module(*(tensor.clone() for tensor in sample)) for sample in samples]
        # Any layer may complain in its own way; which one it was is what helps.
        except Exception as error:
            raise ModelError(_complaint(samples[0], error, layers)) from error
    return [_tensors(output) for output in outputs]


@contextmanager
def _entered(module: nn.Module) -> Iterator[list[str]]:
    """The names of the modules that were entered and not left."""
    stack: list[str] = []
    hooks = []
    for name, child in module.named_modules():
        hooks.append(child.register_forward_pre_hook(lambda *_, name=name: stack.append(name)))
        hooks.append(child.register_forward_hook(lambda *_: _pop(stack)))
    try:
        yield stack
    finally:
        for hook in hooks:
            hook.remove()


def _pop(stack: list[str]) -> None:
    stack.pop()


def _complaint(sample: tuple[torch.Tensor, ...], error: Exception, layers: Sequence[str]) -> str:
    shape = spelled(tensor.shape[1:] for tensor in sample)
    where = f" in {layers[-1]}" if layers and layers[-1] else ""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return (
        f"The model does not take the input {shape}{where}: {type(error).__name__}: {first}\n"
        "Give the input it was made for as --input channels x height x width, such as --input 3x224x224; several "
        "inputs are joined by +: 3x224x224+10."
    )


def _tensors(output: object) -> tuple[torch.Tensor, ...]:
    tensors = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    if not tensors:
        raise ModelError(
            f"The model returns no tensor but {type(output).__name__}. Wrap it in a module whose forward returns a "
            "tensor, or several in a tuple, list or dict."
        )
    return tuple(map(_checked, tensors))


def _checked(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() == 0 or tensor.shape[0] != 1 or not tensor.is_floating_point():
        raise ModelError(
            f"The model returns {tensor.dtype} of shape {tuple(tensor.shape)} for one sample; "
            "it has to return floating-point numbers with the batch first, such as (1, classes)."
        )
    if not bool(tensor.isfinite().all()):
        raise ModelError("The model returns NaN or infinity for a random input. Check its weights and its input shape.")
    return tensor
