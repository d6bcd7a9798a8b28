"""The side of a pruning peer: reads the job's folder, lets the tool prune, and writes what became of the network.

The folder holds `job.json` and `weights.pth`; `pruned.pt2` and `result.json` are written.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

# Takes a network in evaluation mode, an example, the method and the share that may stay; gives the pruned network and
# the share of its multiply-accumulates that is left.
Prune = Callable[[nn.Module, torch.Tensor, str, float], tuple[nn.Module, float]]


def serve(prune: Prune, distribution: str) -> None:
    """Does the job in the folder that the command line names."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    module, name = job["network"].split(":")
    net: nn.Module = getattr(importlib.import_module(module), name)(*job["arguments"])
    net.load_state_dict(torch.load(folder / "weights.pth", weights_only=True))
    net.eval()
    example = torch.randn(2, *job["shape"], generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    pruned, macs_ratio = prune(net, example, job["method"], job["share"])
    seconds = time.perf_counter() - start
    program = torch.export.export(pruned.eval(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, folder / "pruned.pt2")
    about = {"macs_ratio": macs_ratio, "seconds": seconds, "version": metadata.version(distribution)}
    (folder / "result.json").write_text(json.dumps(about))
