"""Rewrites of an exported aten graph: one pass a file, in one order.

The graphs are those of `torch.export.export(...).module(check_guards=False)`: aten calls, weights as `get_attr`.
"""

from __future__ import annotations

from pocketfit.graph.base import Pass
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
from pocketfit.graph.optimise import DEFAULT_PASSES, optimise
from pocketfit.graph.remove_dead_code import RemoveDeadCode
from pocketfit.graph.remove_duplicates import RemoveDuplicates
from pocketfit.graph.remove_identity import RemoveIdentity
from pocketfit.graph.remove_in_place import RemoveInPlace, aliased_writes
from pocketfit.graph.split_packed_projections import SplitPackedProjections
from pocketfit.graph.unroll_recurrent import UnrollRecurrent
from pocketfit.graph.write_out_shorthands import WriteOutShorthands

__all__ = [
    "DEFAULT_PASSES",
    "CancelMoves",
    "DecomposeAttention",
    "ExplicitPadding",
    "FoldBatchNorm",
    "FoldConstants",
    "FoldScale",
    "InferBatch",
    "InlineRegions",
    "MergeBranches",
    "MergePointwise",
    "Pass",
    "RemoveDeadCode",
    "RemoveDuplicates",
    "RemoveIdentity",
    "RemoveInPlace",
    "SplitPackedProjections",
    "UnrollRecurrent",
    "WriteOutShorthands",
    "aliased_writes",
    "optimise",
]
