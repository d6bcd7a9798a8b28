"""NNCF's magnitude pruning: weights are set to zero, the smallest of the whole network; none is removed."""

from __future__ import annotations

import nncf  # type: ignore[import-not-found]
import torch
from torch import nn

from benchmarks.peers.pruning_child import serve


def prune(net: nn.Module, example: torch.Tensor, method: str, share: float) -> tuple[nn.Module, float]:
    """Every multiply-accumulate is computed as before."""
    mode = {"magnitude": nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_GLOBAL}[method]
    pruned = nncf.prune(net, mode, ratio=1 - share, examples_inputs=example)
    return nncf.strip(pruned, example_input=example), 1.0


if __name__ == "__main__":
    serve(prune, "nncf")
