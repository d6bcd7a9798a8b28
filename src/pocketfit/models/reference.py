"""What the module itself answers, and where it fails when it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils import _pytree as pytree

from pocketfit.errors import ModelError
from pocketfit.models.quiet import quiet

__all__ = ["answers"]


def answers(module: nn.Module, samples: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Run the module on each sample.

    Args:
        module: in eval mode.
        samples: float32 inputs with batch 1.

    Returns:
        One float32 tensor with batch 1 per sample.

    Raises:
        ModelError: it fails, quoting the layer; or it does not return exactly one finite float tensor with a batch.
    """
    with torch.no_grad(), quiet(), _entered(module) as layers:
        try:
            outputs = [module(sample.clone()) for sample in samples]
        # Any layer may complain in its own way; which one it was is what helps.
        except Exception as error:
            raise ModelError(_complaint(samples[0], error, layers)) from error
    return [_checked(_only(output)) for output in outputs]


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


def _complaint(sample: torch.Tensor, error: Exception, layers: Sequence[str]) -> str:
    shape = "x".join(str(size) for size in sample.shape[1:])
    where = f" in {layers[-1]}" if layers and layers[-1] else ""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return (
        f"The model does not take the input {shape}{where}: {type(error).__name__}: {first}\n"
        "Give the input it was made for as --input channels x height x width, such as --input 3x224x224."
    )


def _only(output: object) -> torch.Tensor:
    tensors = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    if len(tensors) != 1:
        raise ModelError(
            f"The model returns {len(tensors)} tensors; exactly one is allowed. "
            "Wrap it in a module whose forward returns the one that counts."
        )
    return tensors[0]


def _checked(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() == 0 or tensor.shape[0] != 1 or not tensor.is_floating_point():
        raise ModelError(
            f"The model returns {tensor.dtype} of shape {tuple(tensor.shape)} for one sample; "
            "it has to return floating-point numbers with the batch first, such as (1, classes)."
        )
    if not bool(tensor.isfinite().all()):
        raise ModelError("The model returns NaN or infinity for a random input. Check its weights and its input shape.")
    return tensor
