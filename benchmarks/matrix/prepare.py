"""One network of the matrix: canonical form, plans, inputs, and the answers that every runtime has to give.

    network ─canonicalise→ model ─calibrate, int8_plan→ plan ─expressible→ the plan of each runtime ─simulate→ answers

Done once, in a process of its own, and stored; runtimes that express the same plan in the same scheme share a file.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.architectures import architecture
from benchmarks.architectures.randomise import random_inputs, random_network
from pocketfit.compress.quantize.bias_correction import correct_biases
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.express import expressible
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan, plan_from_json, plan_to_json
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.models.store import restore, save
from pocketfit.runtimes import get_runtime
from pocketfit.types import LoadedModel, Precision, QuantizationPlan

__all__ = ["SAMPLES", "Prepared", "prepare"]

SAMPLES = 16
_CALIBRATION, _BATCH = 16, 8
_INDEX = "prepared.json"


@dataclass(frozen=True)
class Prepared:
    """The folder that `prepare` filled."""

    folder: Path

    def about(self) -> dict[str, Any]:
        """Of the network: parameters, layers, whether any batch size works, seconds that preparing took."""
        about: dict[str, Any] = self._index()["about"]
        return about

    def model(self) -> LoadedModel:
        """The canonical model."""
        return restore(self.folder)

    def plan(self, model: LoadedModel, runtime: str, precision: Precision) -> QuantizationPlan:
        """What the runtime is given."""
        if precision is Precision.FLOAT32:
            return float_plan(model, precision)
        return plan_from_json((self.folder / self._index()["plans"][runtime]).read_bytes())

    def notes(self, runtime: str) -> list[str]:
        """What of the INT8 plan the runtime cannot express."""
        notes: list[str] = self._index()["notes"][runtime]
        return notes

    def inputs(self) -> np.ndarray:
        """Samples that nothing was calibrated with."""
        inputs: np.ndarray = np.load(self.folder / "inputs.npy")
        return inputs

    def expected(self, runtime: str, precision: Precision) -> np.ndarray:
        """The answers of the float graph, or of the simulated plan."""
        name = "float.npy" if precision is Precision.FLOAT32 else self._index()["answers"][runtime]
        answers: np.ndarray = np.load(self.folder / name)
        return answers

    def _index(self) -> dict[str, Any]:
        index: dict[str, Any] = json.loads((self.folder / _INDEX).read_text())
        return index


def prepare(name: str, runtimes: list[str], folder: Path) -> None:
    """Fill an empty folder.

    Args:
        name: of the architecture.
        runtimes: that will be given plans.
        folder: to fill.

    Raises:
        PocketfitError: the network has no canonical form, or gives values that are not finite.
    """
    start = time.perf_counter()
    subject = architecture(name)
    model = canonicalise(random_network(subject), subject.input_shape, name=name)
    save(model, folder)
    inputs = random_inputs(subject.input_shape, SAMPLES, seed=1).numpy()
    np.save(folder / "inputs.npy", inputs)
    np.save(folder / "float.npy", run_graph(model.graph, _batches(model, inputs)))
    plan = _int8_plan(model, random_inputs(subject.input_shape, _CALIBRATION, seed=2).numpy())
    index = _plans(model, plan, runtimes, folder, inputs)
    seconds = time.perf_counter() - start
    index["about"] = {
        "origin": subject.origin,
        "input": list(subject.input_shape),
        "parameters": sum(value.numel() for value in model.graph.state_dict().values()),
        "layers": len(plan.layers),
        "dynamic_batch": model.dynamic_batch,
        "prepare_seconds": round(seconds, 2),
    }
    # Written last: a folder without it is not prepared.
    (folder / _INDEX).write_text(json.dumps(index, indent=1))


def _int8_plan(model: LoadedModel, samples: np.ndarray) -> QuantizationPlan:
    """The plan that `pocketfit fit` draws up by default."""
    batches = _batches(model, samples)
    statistics = calibrate(model.graph, batches, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=len(samples))
    return correct_biases(model, plan, batches)[0]


def _plans(
    model: LoadedModel, plan: QuantizationPlan, runtimes: list[str], folder: Path, inputs: np.ndarray
) -> dict[str, Any]:
    """Write each different plan and its answers once; return which runtime has which."""
    index: dict[str, Any] = {"plans": {}, "answers": {}, "notes": {}}
    known: dict[str, str] = {}
    for name in runtimes:
        info = get_runtime(name).info
        own, notes = expressible(plan, model, info)
        text = plan_to_json(own)
        file = known.setdefault(text, f"plan-{len(known)}.json")
        (folder / file).write_text(text)
        answers = f"{Path(file).stem}-{info.scheme}.npy"
        if not (folder / answers).exists():
            np.save(folder / answers, simulate(model, own, info.scheme, _batches(model, inputs)))
        index["plans"][name], index["answers"][name], index["notes"][name] = file, answers, list(notes)
    return index


def _batches(model: LoadedModel, samples: np.ndarray) -> list[np.ndarray]:
    size = _BATCH if model.dynamic_batch else 1
    return [samples[start : start + size] for start in range(0, len(samples), size)]
