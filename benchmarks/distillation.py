"""Training by a teacher: a small student with and without it, and pruned networks that learn from what they were.

ResNet-56, adapted to the JPEG copy of CIFAR-10, teaches. All learn from training images without augmentation, students
from 6,400 and pruned networks from all 50,000, and are judged on all 10,000 test images. The student is a ResNet-8 with
random weights; with and without the teacher it has the same seed, order, steps and rates. Pruning takes 1,024 of the
images, unlabelled.

The teacher was adapted on a quarter of the images. So that what more images bring is not taken for what pruning does,
the teacher itself learns in the same way, in the row "as it was, distilled"; and so does what torch-pruning leaves of
it, at the same multiply-accumulates.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.cifar_resnets import RESNET_CIFAR_INPUT, ResNetCifar, resnet56_cifar
from benchmarks.peers.pruning import prune as prune_by_peer
from benchmarks.pruning import RESNET56
from benchmarks.real_data import Part, cifar10_arrays
from benchmarks.results import Row
from pocketfit.compress.distill import DistillationRecipe, distill
from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.recipe import ChannelRecipe
from pocketfit.compress.training.recipe import Loss
from pocketfit.data.preprocess import batches
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.work import convert_float_in_child
from pocketfit.testing.plans import plans_of
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Samples, Variant

SAMPLES, STUDENTS_SAMPLES = 50_000, 6_400
HELD_OUT = 10_000
UNLABELLED = 1024
SHAPE = (3, 32, 32)
RUNTIMES = ("onnxruntime", "litert")

# What is taken away, and passes over the images afterwards: 2.1x fewer multiply-accumulates; 30 % of the channels of
# every layer; so few that the INT8 file is a tenth of the float one.
PRUNED = (
    ("2.1x", ChannelRecipe(0.476), 3),
    ("3.4x", ChannelRecipe(0.29), 4),
    ("30 % of channels", ChannelRecipe(width=0.7, round_to=1), 3),
)
# Name in the table, distance from the teacher, share of the labels.
STUDENTS = (("labels alone", Loss.SOFT, 1.0), ("soft labels", Loss.SOFT, 0.3), ("dist", Loss.DIST, 0.3))
SEEDS = (0, 1)
EPOCHS = 8


def run() -> Iterator[Row]:
    """Pruned networks first, then one row per student and seed."""
    bench = _Bench()
    for pruned in PRUNED:
        yield from bench.pruned(*pruned)
    for seed in SEEDS:
        for student in STUDENTS:
            yield bench.student(seed, *student)
    yield bench.unpruned()
    yield from bench.peer()


class _Bench:
    def __init__(self) -> None:
        self.teacher = canonicalise(resnet56_cifar(), SHAPE, name="resnet56_cifar")
        self.samples, self.held_out = _samples("train", SAMPLES), _samples("test", HELD_OUT)
        self.answers = run_graph(self.teacher.graph, batches(self.samples, 64))
        self.percent = self._percent(self.teacher)

    def pruned(self, name: str, recipe: ChannelRecipe, epochs: int) -> Iterator[Row]:
        """As pruned, after learning from what it was, and in INT8."""
        unlabelled = Samples(self.samples.inputs[:UNLABELLED], None, self.samples.preprocess)
        start = time.perf_counter()
        pruned = prune_channels(self.teacher, recipe, list(batches(unlabelled, 64)))
        about = {"model": "resnet56_cifar", "macs_ratio": pruned.macs_after / pruned.macs_before}
        seconds = time.perf_counter() - start
        yield about | {"method": f"pruned, {name}", "seconds": seconds} | self._scored(pruned.model)
        trained, seconds = self._learn(pruned.model, epochs)
        method = f"pruned, {name}, distilled {epochs} epochs"
        yield about | {"method": method, "seconds": seconds} | self._scored(trained)
        plan = plans_of(trained, list(batches(unlabelled, 64))[:4])[Precision.INT8]
        for runtime in RUNTIMES:
            yield about | {"method": f"{method}, INT8", "runtime": runtime} | self._in_int8(trained, plan, runtime)

    def unpruned(self) -> Row:
        """The teacher, which learns from itself and from the labels as the pruned networks do."""
        trained, seconds = self._learn(self.teacher, PRUNED[0][2])
        method = f"as it was, distilled {PRUNED[0][2]} epochs"
        return {"model": "resnet56_cifar", "method": method, "seconds": seconds} | self._scored(trained)

    def peer(self) -> Iterator[Row]:
        """torch-pruning's network of as many multiply-accumulates, which learns as ours do."""
        name, recipe, epochs = PRUNED[0]
        pruned = prune_by_peer("torch-pruning", resnet56_cifar(), RESNET56, "l1", recipe.macs)
        about = {"model": "resnet56_cifar", "tool": "torch-pruning", "peer_version": pruned.version}
        about |= {"macs_ratio": pruned.macs_ratio}
        yield about | {"method": f"pruned, {name}", "seconds": pruned.seconds} | self._scored(pruned.model)
        trained, seconds = self._learn(pruned.model, epochs)
        method = f"pruned, {name}, distilled {epochs} epochs"
        yield about | {"method": method, "seconds": seconds} | self._scored(trained)

    def _learn(self, model: LoadedModel, epochs: int) -> tuple[LoadedModel, float]:
        start = time.perf_counter()
        recipe = DistillationRecipe(epochs=epochs, cpu=True)
        trained = distill(model, self.teacher, self.samples, recipe, answers=self.answers).model
        return trained, time.perf_counter() - start

    def student(self, seed: int, name: str, loss: Loss, label_share: float) -> Row:
        """ResNet-8 from random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = ResNetCifar(1)
        samples = replace(
            self.samples,
            inputs=self.samples.inputs[:STUDENTS_SAMPLES],
            labels=self.samples.labels[:STUDENTS_SAMPLES],  # type: ignore[index]
        )
        source = Source(module, "resnet8_cifar", SHAPE, RESNET_CIFAR_INPUT)
        model = canonicalise(copy.deepcopy(module), SHAPE, name="resnet8_cifar")
        rates = {"weight_rate": 3e-3, "bias_rate": 3e-3}
        recipe = DistillationRecipe(epochs=EPOCHS, loss=loss, label_share=label_share, seed=seed, cpu=True, **rates)
        start = time.perf_counter()
        answers = self.answers[:STUDENTS_SAMPLES]
        trained = distill(model, self.teacher, samples, recipe, source=source, answers=answers).model
        seconds = time.perf_counter() - start
        about = {"model": "resnet8_cifar", "method": f"student, {name}", "seed": seed, "seconds": seconds}
        return about | {"percent": self._percent(trained), "teacher_percent": self.percent}

    def _scored(self, model: LoadedModel) -> Row:
        percent = self._percent(model)
        return {"percent": percent, "teacher_percent": self.percent, "drop_points": self.percent - percent}

    def _in_int8(self, model: LoadedModel, plan: QuantizationPlan, runtime: str) -> Row:
        """Of a runtime's files, run on the held-out images one by one."""
        with tempfile.TemporaryDirectory() as work:
            folders = [Path(work) / name for name in ("float", "int8")]
            for folder in folders:
                folder.mkdir()
            before = convert_float_in_child(self.teacher, runtime, folders[0])
            after = get_runtime(runtime).convert(Variant(model, plan), folders[1])
            session = get_runtime(runtime).open(after)
            outputs = np.concatenate([session.run([one])[0] for one in batches(self.held_out, 1)])
            # While the files are there.
            size = {"size_bytes": after.size_bytes, "times_smaller": before.size_bytes / after.size_bytes}
        percent = self._right(outputs)
        return size | {"percent": percent, "teacher_percent": self.percent, "drop_points": self.percent - percent}

    def _percent(self, model: LoadedModel) -> float:
        return self._right(run_graph(model.graph, batches(self.held_out, 100)))

    def _right(self, outputs: np.ndarray) -> float:
        return 100 * float((outputs.argmax(1) == self.held_out.labels).mean())


def _samples(part: Part, count: int) -> Samples:
    images, labels = cifar10_arrays(part)
    chosen = np.random.default_rng(0).permutation(len(labels))[:count]
    return Samples(images[chosen], labels[chosen], RESNET_CIFAR_INPUT)
