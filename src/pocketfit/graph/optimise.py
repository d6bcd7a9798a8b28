"""The order of the passes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.fx import GraphModule

from pocketfit.graph.base import Pass, outputs
from pocketfit.graph.cancel_moves import CancelMoves
from pocketfit.graph.decompose_attention import DecomposeAttention
from pocketfit.graph.explicit_padding import ExplicitPadding
from pocketfit.graph.fold_batch_norm import FoldBatchNorm
from pocketfit.graph.fold_constants import FoldConstants
from pocketfit.graph.fold_scale import FoldScale
from pocketfit.graph.infer_batch import InferBatch
from pocketfit.graph.inline_regions import InlineRegions
from pocketfit.graph.merge_branches import MergeBranches
from pocketfit.graph.merge_pointwise import MergePointwise
from pocketfit.graph.remove_dead_code import RemoveDeadCode
from pocketfit.graph.remove_duplicates import RemoveDuplicates
from pocketfit.graph.remove_identity import RemoveIdentity
from pocketfit.graph.remove_in_place import RemoveInPlace
from pocketfit.graph.running import arguments
from pocketfit.graph.split_packed_projections import SplitPackedProjections
from pocketfit.graph.unroll_recurrent import UnrollRecurrent
from pocketfit.graph.write_out_shorthands import WriteOutShorthands

__all__ = ["DEFAULT_PASSES", "optimise"]

# Regions come first, because no other pass looks into them. Without in-place writes a value has one name, which every
# later pass relies on. Constants come before attention because a mask is one, and before batch-norm because a
# normalised weight is a constant first and a foldable weight then; they come again behind recurrent layers and
# attention, which leave sums of biases and scaled constants behind. Layers are merged when nothing is left between
# them, and movements last, because other passes know their patterns by them.
DEFAULT_PASSES: tuple[Pass, ...] = (
    InlineRegions(),
    RemoveInPlace(),
    RemoveIdentity(),
    FoldConstants(),
    UnrollRecurrent(),
    DecomposeAttention(),
    WriteOutShorthands(),
    FoldConstants(),
    ExplicitPadding(),
    FoldBatchNorm(),
    FoldScale(),
    MergeBranches(),
    MergePointwise(),
    InferBatch(),
    SplitPackedProjections(),
    RemoveDuplicates(),
    CancelMoves(),
    RemoveDeadCode(),
)


def optimise(
    graph_module: GraphModule, example: torch.Tensor, told: Callable[[Pass, int], None] | None = None
) -> GraphModule:
    """Run the default passes over a graph, in place, and return it.

    Args:
        graph_module: aten graph with one tensor input, in eval mode.
        example: float32 input on which every pass has to leave the output as it was.
        told: called after each pass with the number of its changes.

    Raises:
        ModelError: a pass would have changed what the model computes.
    """
    answers = outputs(graph_module, *arguments(graph_module, example))
    for graph_pass in DEFAULT_PASSES:
        changes, answers = graph_pass.checked(graph_module, example, answers)
        if told is not None:
            told(graph_pass, changes)
    return graph_module
