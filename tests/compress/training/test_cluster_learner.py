"""Trainings on a real Ray cluster of several nodes, each a process of its own on this host."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.distill import DistillationRecipe, Distilled, distill
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan, plan_to_json
from pocketfit.compress.quantize.qat import TrainingRecipe, Trains, train
from pocketfit.compress.training.cluster.learner import ClusterLearner, shares
from pocketfit.compress.training.cluster.packing import pack, unpack
from pocketfit.compress.training.loop import Step
from pocketfit.compress.training.recipe import LoopRecipe
from pocketfit.compress.training.transfer import FeatureLoss
from pocketfit.errors import OptionError, WeightsError
from pocketfit.graph.running import plain_copy
from pocketfit.importing import resolve
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.types import LoadedModel, Samples, Variant

pytest.importorskip("ray")
pytest.importorskip("accelerate")

SMALL = 2**28
RECIPE = DistillationRecipe(epochs=10, batch=16, checkpoint_steps=5, features=FeatureLoss.HINT)
LONG = replace(RECIPE, epochs=100)  # long enough to be hit
SAMPLES = Samples(np.random.default_rng(0).normal(size=(64, 3, 8, 8)).astype(np.float32), None, None)

# In a file of the user's, beside another one, neither of which any node has.
BLOCKS = """
from torch import nn

def block(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())
"""
NETS = """
from torch import nn
from blocks_of_mine import block

class Mine(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.block, self.head = block(width), nn.Linear(width * 36, 5)

    def forward(self, x):
        return self.head(self.block(x).flatten(1))

def build():
    return Mine(8)
"""


def network(width: int) -> LoadedModel:
    torch.manual_seed(width)
    layers = [nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU()]
    return canonicalise(nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 16, 5)), (3, 8, 8), name="net")


def weights(taught: Distilled) -> dict[str, torch.Tensor]:
    return dict(taught.model.graph.named_parameters())


def add_nodes(cluster: Any, number: int) -> list[Any]:
    return [cluster.add_node(num_cpus=1, memory=2**30, object_store_memory=100 * 2**20) for _ in range(number)]


def check_alike(one: Distilled, other: Distilled, atol: float) -> None:
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(other)[name], value, atol=atol, rtol=0)


def test_a_packed_graph_computes_the_same_and_knows_its_shapes() -> None:
    model = network(8)
    one, other = (plain_copy(graph) for graph in (model.graph, unpack(pack(model)).graph))
    inputs = torch.randn(4, 3, 8, 8)
    assert torch.equal(one(inputs), other(inputs))
    for before, after in zip(one.graph.nodes, other.graph.nodes, strict=True):
        assert (before.name, before.target) == (after.name, after.target)
        if isinstance(before.meta.get("val"), torch.Tensor):
            assert before.meta["val"].shape[1:] == after.meta["val"].shape[1:]
    # The one that was packed still takes any batch.
    assert model.graph(inputs).shape == (4, 5)


def test_what_is_shared_stays_shared() -> None:
    layer = nn.Linear(2, 2)
    parameters, found = unpack(pack(([layer.weight], layer)))
    assert parameters[0] is found.weight


def test_how_processes_are_dealt_out() -> None:
    recipe = LoopRecipe()
    assert shares([0, 8, 8], None, 64, recipe) == (2, 8)
    assert shares([0, 8, 4], None, 64, recipe) == (2, 4)
    assert shares([8, 8], 4, 64, recipe) == (4, 4)
    assert shares([2, 2], 100, 64, recipe) == (4, 1)
    assert shares([1, 1, 1], None, 64, recipe) == (2, 1)  # three cannot share 64 samples evenly
    assert shares([1, 1], None, 8, replace(recipe, accumulate=8)) == (1, 1)
    assert shares([0], None, 64, recipe) == (0, 0)


@pytest.mark.slow
def test_one_process_learns_there_what_it_learns_here(ray_cluster: Any) -> None:
    add_nodes(ray_cluster, 1)
    teacher, student = network(16), network(8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    here = distill(student, teacher, SAMPLES, RECIPE)
    torch.set_num_threads(threads)

    there = distill(student, teacher, SAMPLES, RECIPE, learn=ClusterLearner(ray_cluster.address, memory_bytes=SMALL))

    assert [step.loss for step in there.log] == [step.loss for step in here.log]
    check_alike(here, there, atol=0)


@pytest.mark.slow
def test_a_node_that_is_killed_loses_nothing(ray_cluster: Any, tmp_path: Path) -> None:
    nodes = add_nodes(ray_cluster, 2)
    teacher, student = network(16), network(8)
    steps: list[int] = []
    killed = threading.Event()

    def told(step: Step) -> None:
        steps.append(step.number)
        if step.number >= 12 and not killed.is_set():
            ray_cluster.remove_node(nodes[0], allow_graceful=False)
            killed.set()

    undisturbed = distill(student, teacher, SAMPLES, LONG)
    learner = ClusterLearner(ray_cluster.address, memory_bytes=SMALL)
    taught = distill(student, teacher, SAMPLES, LONG, progress=told, learn=learner, checkpoint=tmp_path / "state")

    assert killed.is_set()
    assert steps == list(range(1, 401))  # each is told once
    assert len(taught.log) == 400
    # Sums are in another order where two processes share a batch.
    assert taught.log[-1].loss == pytest.approx(undisturbed.log[-1].loss, rel=0.05)
    check_alike(undisturbed, taught, atol=0.05)


@pytest.mark.slow
def test_the_one_who_leads_may_die_too(ray_cluster: Any, tmp_path: Path) -> None:
    add_nodes(ray_cluster, 2)
    teacher, student = network(16), network(8)
    learner = ClusterLearner(ray_cluster.address, memory_bytes=SMALL)
    whole = distill(student, teacher, SAMPLES, LONG, learn=learner)
    checkpoint = tmp_path / "state"

    class Stop(Exception):
        pass

    def stop(step: Step) -> None:
        if step.number > 20:
            raise Stop

    with pytest.raises(Stop):
        distill(student, teacher, SAMPLES, LONG, learn=learner, checkpoint=checkpoint, progress=stop)
    assert checkpoint.exists()
    rest: list[int] = []
    resumed = distill(
        *(student, teacher, SAMPLES, LONG),
        learn=learner,
        checkpoint=checkpoint,
        progress=lambda step: rest.append(step.number),
    )

    assert rest[0] > 1
    assert [step.loss for step in resumed.log] == [step.loss for step in whole.log]
    check_alike(whole, resumed, atol=0)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network with batch norms, whose class is in files of the user's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "blocks_of_mine.py").write_text(BLOCKS)
    (tmp_path / "nets_of_mine.py").write_text(NETS)
    build: Any = resolve(f"{tmp_path / 'nets_of_mine.py'}:build", OptionError)
    module: nn.Module = build()
    return module


def test_files_of_the_users_travel_along(mine: nn.Module) -> None:
    script = (
        "import sys, torch; from pocketfit.compress.training.cluster.packing import unpack; "
        "print(unpack(sys.stdin.buffer.read())(torch.zeros(2, 3, 8, 8)).shape)"
    )
    there = subprocess.run([sys.executable, "-c", script], input=pack(mine), capture_output=True, check=True)
    assert there.stdout.decode().strip() == "torch.Size([2, 5])"


@pytest.mark.slow
def test_a_module_learns_with_its_batch_norms(ray_cluster: Any, mine: nn.Module) -> None:
    add_nodes(ray_cluster, 2)
    student = canonicalise(mine, (3, 8, 8), name="mine")
    learner = ClusterLearner(ray_cluster.address, workers=2, memory_bytes=SMALL)
    recipe = DistillationRecipe(epochs=10, batch=16)

    taught = distill(student, network(16), SAMPLES, recipe, source=Source(mine, "mine"), learn=learner)

    assert taught.log[-1].loss < taught.log[0].loss
    assert dict(mine.named_buffers())["block.1.running_mean"].abs().sum() > 0


@pytest.mark.slow
def test_what_is_refused_here_is_refused_there(ray_cluster: Any, tmp_path: Path) -> None:
    add_nodes(ray_cluster, 1)
    learner = ClusterLearner(ray_cluster.address, memory_bytes=SMALL)
    (tmp_path / "state").write_text("no checkpoint")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        distill(network(8), network(16), SAMPLES, RECIPE, learn=learner, checkpoint=tmp_path / "state")
    with pytest.raises(OptionError, match="diverged"):
        distill(network(8), network(16), SAMPLES, replace(RECIPE, weight_rate=1e30), learn=learner)


@pytest.mark.slow
def test_a_plan_is_trained_there_as_it_is_here(ray_cluster: Any) -> None:
    add_nodes(ray_cluster, 1)
    model = network(8)
    statistics = calibrate(model.graph, [SAMPLES.inputs], place(model.graph).tensors)
    variant = Variant(model, int8_plan(model, statistics, data_fingerprint="", samples=64))
    recipe = TrainingRecipe(epochs=3, batch=16, trains=Trains.EVERYTHING)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    here = train(variant, SAMPLES, recipe)
    torch.set_num_threads(threads)

    there = train(variant, SAMPLES, recipe, learn=ClusterLearner(ray_cluster.address, memory_bytes=SMALL))

    assert here.log == there.log
    assert plan_to_json(here.variant.plan) == plan_to_json(there.variant.plan)
