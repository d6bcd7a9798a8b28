"""How many samples a file takes at once: one, or any number up to a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pocketfit.errors import ConversionError
from pocketfit.types import LoadedModel, RuntimeOption

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import GraphModule

__all__ = ["BATCH", "MOST", "batch_option", "export_with_batch", "is_dynamic", "refuse_batch"]

BATCH = "batch"
# ExecuTorch lays out memory for the largest batch when it writes the file, and Core ML wants to know the largest.
MOST = 16

_ONE, _DYNAMIC = "1", "dynamic"


def batch_option() -> RuntimeOption:
    """The option by which a user asks for files that take several samples; without it, they take one."""
    return RuntimeOption(BATCH, (_ONE, _DYNAMIC), "Samples that a file takes at once: 1, or any number (dynamic).")


def is_dynamic(options: Mapping[str, str]) -> bool:
    """Whether files with these options take any number of samples; also of runtimes that have no such option."""
    return options.get(BATCH, _ONE) == _DYNAMIC


def refuse_batch(model: LoadedModel, options: Mapping[str, str], runtime: str) -> None:
    """Refuse a dynamic batch of a model that has a fixed one.

    Raises:
        ConversionError: for that runtime.
    """
    if is_dynamic(options) and not model.dynamic_batch:
        raise ConversionError(
            runtime,
            f"the model {model.name} takes one sample at a time, and a dynamic batch is asked for",
            "Leave --batch out, or write the model so that no shape in it depends on the batch.",
        )


def export_with_batch(graph: GraphModule, model: LoadedModel, options: Mapping[str, str]) -> ExportedProgram:
    """`torch.export.export` for inputs as the model's, with the batch that the options ask for.

    Args:
        graph: made from the model's.
        model: that `refuse_batch` let pass.
        options: of the artifact; a dynamic batch is 1..`MOST`.

    Raises:
        Exception: whatever `torch.export` raises.
    """
    import torch
    from torch.export import Dim

    dynamic = is_dynamic(options)
    # One sample would be taken for the number 1.
    example = tuple(torch.zeros((2 if dynamic else 1, *given.shape[1:])) for given in model.inputs)
    batch = Dim(BATCH, min=1, max=MOST)
    shapes = tuple({0: batch} for _ in example) if dynamic else None
    with torch.no_grad():
        return torch.export.export(graph, example, dynamic_shapes=shapes)
