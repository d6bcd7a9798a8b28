"""torch-pruning: channels removed by their importance until the multiply-accumulates fit."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch_pruning as tp  # type: ignore[import-not-found]
from torch import nn

from benchmarks.peers.pruning_child import serve

RATIOS = np.linspace(0.02, 0.98, 49)


def prune(net: nn.Module, example: torch.Tensor, method: str, budget: float) -> tuple[nn.Module, float]:
    """The first of a row of rising ratios, the same in every layer, that meets the budget."""
    before, _ = tp.utils.count_ops_and_params(net, example)
    for ratio in RATIOS:
        pruned = copy.deepcopy(net)
        last = [layer for layer in pruned.modules() if isinstance(layer, nn.Linear)][-1:]
        score = {"l1": tp.importance.GroupMagnitudeImportance(p=1), "norm-scale": tp.importance.BNScaleImportance()}
        pruner = tp.pruner.BasePruner(
            pruned, example, importance=score[method], pruning_ratio=float(ratio), ignored_layers=last
        )
        pruner.step()
        after, _ = tp.utils.count_ops_and_params(pruned, example)
        if after <= budget * before:
            return pruned, after / before
    raise RuntimeError(f"no ratio reaches {budget:.0%} of the multiply-accumulates")


if __name__ == "__main__":
    serve(prune, "torch-pruning")
