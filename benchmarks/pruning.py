"""Channels removed without labels and without training: what it costs, and what it saves, beside other tools.

All are judged on the same 2,000 held-out images and, as near as channels allow, at the same multiply-accumulates. The
network is trained on the JPEG copy of CIFAR-10 that it is tested on. `seconds` is wall-clock time of the pruning
alone, `cpu_seconds` what it took of one core. torch's own pruning masks filters and removes none.
"""

from __future__ import annotations

import copy
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from benchmarks.cifar_resnets import RESNET_CIFAR_INPUT, resnet56_cifar
from benchmarks.peers import environment
from benchmarks.real_data import cifar10_arrays
from benchmarks.results import Row
from pocketfit.compress.prune.allocate import Allocation
from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.contract import Contract
from pocketfit.data.preprocess import arithmetic
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.pruning import side_by_side
from pocketfit.types import LoadedModel

SAMPLES = 1024
HELD_OUT = 2000
BATCH = 100


@dataclass(frozen=True)
class Subject:
    """A network and its budgets.

    Args:
        name: in the table.
        build: makes the trained module.
        peer: the class and its arguments, for a process that makes it anew.
        spec: its input.
        macs: shares of the multiply-accumulates that may stay.
    """

    name: str
    build: Callable[[], nn.Module]
    peer: tuple[str, tuple[int, ...]]
    spec: Contract
    macs: tuple[float, ...]


SUBJECTS = (
    Subject(
        "resnet56_cifar", resnet56_cifar, ("benchmarks.cifar_resnets:ResNetCifar", (9,)), RESNET_CIFAR_INPUT, (0.5,)
    ),
)

# Name in the table, importance, allocation, whether layers are fitted, channels rounded to.
METHODS = (
    ("obs, refit", Importance.OBS, Allocation.GLOBAL, True, 1),
    ("obs, refit, rounded to 8", Importance.OBS, Allocation.GLOBAL, True, 8),
    ("l1 uniform, refit", Importance.L1, Allocation.UNIFORM, True, 1),
    ("l1 uniform", Importance.L1, Allocation.UNIFORM, False, 1),
)


def run() -> Iterator[Row]:
    """One row per network, budget, method and tool."""
    for subject in SUBJECTS:
        bench = _Bench(subject)
        for macs in subject.macs:
            for method in METHODS:
                yield bench.ours(macs, *method)
            for importance in ("l1", "norm-scale"):
                yield bench.torch_pruning(macs, importance)
            yield bench.torch_masks(macs)


class _Bench:
    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.module = subject.build()
        self.model = canonicalise(copy.deepcopy(self.module), (3, 32, 32), name=subject.name)
        train, test = cifar10_arrays("train"), cifar10_arrays("test")
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(test[1]))[:HELD_OUT]
        self.samples = _batches(train[0][rng.permutation(len(train[1]))[:SAMPLES]], subject.spec)
        self.held_out, self.labels = _batches(test[0][chosen], subject.spec), test[1][chosen]
        self.percent = self._percent(run_graph(self.model.graph, self.held_out))

    def ours(
        self, macs: float, name: str, importance: Importance, allocation: Allocation, refit: bool, round_to: int
    ) -> Row:
        wall, cpu = time.perf_counter(), time.process_time()
        pruned = prune_channels(self.model, ChannelRecipe(macs, importance, allocation, round_to, refit), self.samples)
        took = time.perf_counter() - wall, time.process_time() - cpu
        row = self._row("pocketfit", name, pruned.macs_after / pruned.macs_before)
        row |= self._scored(run_graph(pruned.model.graph, self.held_out)) | {"seconds": took[0], "cpu_seconds": took[1]}
        return row | (self._latency(pruned.model) if importance is Importance.OBS else {})

    def torch_pruning(self, macs: float, importance: str) -> Row:
        network, arguments = self.subject.peer
        with tempfile.TemporaryDirectory() as scratch:
            job = Path(scratch)
            torch.save(self.module.state_dict(), job / "weights.pth")
            np.save(job / "evaluation.npy", np.concatenate(self.held_out))
            about = {"network": network, "arguments": arguments, "macs": macs, "importance": importance}
            (job / "job.json").write_text(json.dumps(about))
            said = _run_peer(job)
            if said:
                return self._row("torch-pruning", f"{importance} uniform", None) | {"failure": said}
            found = json.loads((job / "result.json").read_text())
            scored = self._scored(np.load(job / "outputs.npy"))
        row = self._row("torch-pruning", f"{importance} uniform", found["macs_ratio"])
        return row | scored | {"seconds": found["seconds"], "peer_version": found["version"]}

    def torch_masks(self, macs: float) -> Row:
        """`ln_structured` on every convolution: filters are zeroed, and computed as before."""
        net = copy.deepcopy(self.module)
        start = time.perf_counter()
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d) and layer.out_channels > 1:
                # Uniform: both sides of a layer lose their share.
                torch_prune.ln_structured(layer, "weight", amount=1 - macs**0.5, n=1, dim=0)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            outputs = np.concatenate([net(torch.from_numpy(batch)).numpy() for batch in self.held_out])
        return (
            self._row("torch.nn.utils.prune", "l1 uniform, masks", 1.0) | self._scored(outputs) | {"seconds": seconds}
        )

    def _latency(self, pruned: LoadedModel) -> Row:
        before, after = side_by_side(self.model, pruned)
        ratio = before.median_ms / after.median_ms
        return {"ort_ms_before": before.median_ms, "ort_ms_after": after.median_ms, "ort_speedup": ratio}

    def _row(self, tool: str, method: str, macs_ratio: float | None) -> Row:
        return {"model": self.subject.name, "method": method, "tool": tool, "macs_ratio": macs_ratio}

    def _scored(self, outputs: np.ndarray) -> Row:
        return {"drop_points": self.percent - self._percent(outputs), "float_percent": self.percent}

    def _percent(self, outputs: np.ndarray) -> float:
        return 100 * float((outputs.argmax(1) == self.labels).mean())


def _batches(images: np.ndarray, spec: Contract) -> list[np.ndarray]:
    return [
        np.ascontiguousarray(arithmetic(images[start : start + BATCH], spec)) for start in range(0, len(images), BATCH)
    ]


def _run_peer(job: Path) -> str:
    """Nothing, or the last line of what went wrong."""
    interpreter = environment.python("torch-pruning-env", environment.TORCH_PRUNING)
    variables = environment.variables()
    root = Path(variables["PYTHONPATH"])
    variables["PYTHONPATH"] = f"{root}:{root / 'src'}"
    command = [str(interpreter), "-m", "benchmarks.peers.run_torch_pruning", str(job)]
    done = subprocess.run(command, cwd=job, env=variables, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
