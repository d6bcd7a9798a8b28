"""What a folded batch normalisation said of the layer it went into: mean and standard deviation of each channel.

A batch normalisation gives each channel the mean β and the standard deviation |γ| on the data it was trained with.
Folding loses both, and a model without data is quantized by nothing else. They are kept in the part of a node's
metadata that `torch.export` carries along and writes into `.pt2` files; they are no part of what the graph computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.fx import Node

__all__ = ["NormStatistics", "forget_norm_statistics", "norm_statistics", "record_norm_statistics"]

_KEY = "pocketfit.batch_norm"


@dataclass(frozen=True)
class NormStatistics:
    """What a layer gives, before its activation, on the data it was trained with.

    Args:
        mean: per output channel, float32.
        std: per output channel, float32, not negative.
    """

    mean: torch.Tensor
    std: torch.Tensor


def record_norm_statistics(node: Node, statistics: NormStatistics) -> None:
    """Keep the statistics with the layer, in place of what it had."""
    record = {"mean": _rounded(statistics.mean), "std": _rounded(statistics.std)}
    node.meta["custom"] = {**(node.meta.get("custom") or {}), _KEY: record}


def forget_norm_statistics(node: Node) -> None:
    """Take the statistics of a layer away, whose output is another one now."""
    node.meta["custom"] = {key: kept for key, kept in (node.meta.get("custom") or {}).items() if key != _KEY}


def norm_statistics(node: Node) -> NormStatistics | None:
    """The statistics of a layer's output; None where no batch normalisation was folded into it."""
    record = (node.meta.get("custom") or {}).get(_KEY)
    if record is None:
        return None
    return NormStatistics(torch.tensor(record["mean"]), torch.tensor(record["std"]))


def _rounded(values: torch.Tensor) -> list[float]:
    # They end up as text; more digits than statistics deserve would double its length.
    return [float(f"{value:.6g}") for value in values.tolist()]
