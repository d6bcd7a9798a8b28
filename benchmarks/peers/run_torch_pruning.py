"""torch-pruning on a network of the benchmarks: channels removed by magnitude until the multiply-accumulates fit.

Runs in an environment of its own: `python -m benchmarks.peers.run_torch_pruning FOLDER`, where the folder holds
`job.json`, `weights.pth` and `evaluation.npy`; writes `outputs.npy` and `result.json`.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch_pruning as tp  # type: ignore[import-not-found]
from torch import nn

BATCH = 100
RATIOS = np.linspace(0.02, 0.98, 49)


def main(folder: Path) -> None:
    """Does the job in a folder."""
    job = json.loads((folder / "job.json").read_text())
    module, name = job["network"].split(":")
    net: nn.Module = getattr(importlib.import_module(module), name)(*job["arguments"])
    net.load_state_dict(torch.load(folder / "weights.pth", weights_only=True))
    net.eval()
    evaluation = torch.from_numpy(np.load(folder / "evaluation.npy"))
    start = time.perf_counter()
    pruned, macs_ratio = _pruned(net, evaluation[:1], job["macs"], job["importance"])
    seconds = time.perf_counter() - start
    with torch.no_grad():
        outputs = torch.cat([pruned(part) for part in evaluation.split(BATCH)])
    np.save(folder / "outputs.npy", outputs.numpy())
    about = {"macs_ratio": macs_ratio, "seconds": seconds, "version": tp.__version__}
    (folder / "result.json").write_text(json.dumps(about))


def _pruned(net: nn.Module, example: torch.Tensor, budget: float, importance: str) -> tuple[nn.Module, float]:
    """The first of a row of rising ratios, the same in every layer, that meets the budget."""
    before, _ = tp.utils.count_ops_and_params(net, example)
    for ratio in RATIOS:
        pruned = copy.deepcopy(net)
        last = [layer for layer in pruned.modules() if isinstance(layer, nn.Linear)][-1:]
        score = {"l1": tp.importance.GroupMagnitudeImportance(p=1), "norm-scale": tp.importance.BNScaleImportance()}
        pruner = tp.pruner.BasePruner(
            pruned, example, importance=score[importance], pruning_ratio=float(ratio), ignored_layers=last
        )
        pruner.step()
        after, _ = tp.utils.count_ops_and_params(pruned, example)
        if after <= budget * before:
            return pruned, after / before
    raise RuntimeError(f"no ratio reaches {budget:.0%} of the multiply-accumulates")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
