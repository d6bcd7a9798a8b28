"""Devices and processes, which `accelerate` looks after."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pocketfit.compress.training.recipe import LoopRecipe
from pocketfit.errors import RuntimeMissing

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["accelerator_for", "shared"]

T = TypeVar("T")


def accelerator_for(recipe: LoopRecipe) -> Accelerator:
    """What runs the training here: on a GPU if there is one and the recipe allows it, in one process or several.

    Raises:
        RuntimeMissing: `accelerate` is not installed.
    """
    try:
        from accelerate import Accelerator, DataLoaderConfiguration
        from accelerate.state import AcceleratorState, PartialState
        from accelerate.utils import GradientAccumulationPlugin
    except ImportError as error:
        raise RuntimeMissing(
            'a training needs accelerate, not installed here. To add it: pip install "pocketfit[train]"'
        ) from error
    # It remembers the precision and device of an earlier training in this process, and refuses any other. What links
    # several processes is kept.
    alone = PartialState._shared_state == {} or PartialState().num_processes == 1
    AcceleratorState._reset_state(reset_partial_state=alone)
    # A batch is divided among the processes, so that the result does not depend on how many there are.
    dealing = DataLoaderConfiguration(split_batches=True)
    # The parts of a step come from one batch of the loader, whose end says nothing of theirs.
    parts = GradientAccumulationPlugin(num_steps=recipe.accumulate, sync_with_dataloader=False)
    return Accelerator(
        mixed_precision=recipe.mixed_precision.value,
        cpu=recipe.cpu,
        dataloader_config=dealing,
        gradient_accumulation_plugin=parts,
    )


def shared(accelerator: Accelerator, make: Callable[[], T]) -> T:
    """What the main process makes, in every process; the others may be on other machines without its files."""
    if accelerator.num_processes == 1:
        return make()
    from accelerate.utils import broadcast_object_list

    made = [make() if accelerator.is_main_process else None]
    broadcast_object_list(made)
    return made[0]  # type: ignore[return-value]
