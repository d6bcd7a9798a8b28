"""Channels removed without labels and without training: what it costs, and what it saves, beside other tools.

All are judged on the same 2,000 held-out images and, as near as channels allow, at the same multiply-accumulates. The
network is trained on the JPEG copy of CIFAR-10 that it is tested on. `seconds` is wall-clock time of the pruning
alone, `cpu_seconds` what it took of one core. torch's own pruning masks filters and NNCF's sets
weights to zero; neither removes any.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from benchmarks.cifar_resnets import RESNET_CIFAR_INPUT, resnet56_cifar
from benchmarks.peers.call import PeerError
from benchmarks.peers.pruning import Network
from benchmarks.peers.pruning import prune as prune_by_peer
from benchmarks.real_data import cifar10_arrays
from benchmarks.results import Row
from pocketfit.compress.prune.allocate import Allocation
from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
from pocketfit.compress.prune.weights import Scope, WeightRecipe, zero_weights
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
        peer: for a process that makes it anew.
        spec: its input.
        macs: shares of the multiply-accumulates that may stay.
    """

    name: str
    build: Callable[[], nn.Module]
    peer: Network
    spec: Contract
    macs: tuple[float, ...]


RESNET56 = Network("benchmarks.cifar_resnets:ResNetCifar", (9,), (3, 32, 32))

SUBJECTS = (Subject("resnet56_cifar", resnet56_cifar, RESNET56, RESNET_CIFAR_INPUT, (0.5,)),)

# Name in the table, importance, allocation, whether layers are fitted, channels rounded to.
METHODS = (
    ("obs, refit", Importance.OBS, Allocation.GLOBAL, True, 1),
    ("obs, refit, rounded to 8", Importance.OBS, Allocation.GLOBAL, True, 8),
    ("l1 uniform, refit", Importance.L1, Allocation.UNIFORM, True, 1),
    ("l1 uniform", Importance.L1, Allocation.UNIFORM, False, 1),
)

# Tool, its method, and the name in the table.
PEERS = (
    ("torch-pruning", "l1", "l1 uniform"),
    ("torch-pruning", "norm-scale", "norm-scale uniform"),
    ("nncf", "magnitude", "half of the weights zero, by magnitude"),
)


def run() -> Iterator[Row]:
    """One row per network, budget, method and tool."""
    for subject in SUBJECTS:
        bench = _Bench(subject)
        for macs in subject.macs:
            for method in METHODS:
                yield bench.ours(macs, *method)
            for tool, method, name in PEERS:
                yield bench.peer(macs, tool, method, name)
            yield bench.zeros(macs)
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

    def peer(self, macs: float, tool: str, method: str, name: str) -> Row:
        try:
            pruned = prune_by_peer(tool, self.module, self.subject.peer, method, macs)
        except PeerError as error:
            return self._row(tool, name, None) | {"failure": str(error)}
        row = self._row(tool, name, pruned.macs_ratio) | self._scored(run_graph(pruned.model.graph, self.held_out))
        return row | {"seconds": pruned.seconds, "peer_version": pruned.version} | self._latency(pruned.model)

    def zeros(self, share: float) -> Row:
        """The same as NNCF does."""
        wall, cpu = time.perf_counter(), time.process_time()
        zeroed = zero_weights(self.model, WeightRecipe(ratio=1 - share, scope=Scope.GLOBAL)).model
        took = time.perf_counter() - wall, time.process_time() - cpu
        row = self._row("pocketfit", PEERS[-1][2], 1.0) | self._scored(run_graph(zeroed.graph, self.held_out))
        return row | {"seconds": took[0], "cpu_seconds": took[1]} | self._latency(zeroed)

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
