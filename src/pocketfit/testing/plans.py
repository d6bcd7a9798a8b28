"""A tiny network with its plans and its artifacts: what a converter is given, and what must come of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pocketfit.compress.quantize.bias_correction import correct_biases
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.express import expressible
from pocketfit.compress.quantize.placement import is_layer, place
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.models.canonical import canonicalise
from pocketfit.testing.models import TinyModel, build
from pocketfit.types import (
    Artifact,
    LoadedModel,
    Precision,
    QuantizationPlan,
    Runtime,
    RuntimeInfo,
    Scheme,
    Variant,
)

__all__ = ["MIXED_PLANS", "Artifacts", "Case", "case_of", "plans_of"]

# What an INT8 plan may hold beside 8-bit weights and activations.
MIXED_PLANS = (
    "4-bit weights",
    "16-bit activations",
    "some 16-bit tensors",
    "half layers",
    "float layers",
    "weight-only",
    "4-bit weight-only",
    "dynamic",
)

CALIBRATION_BATCHES = 4
SAMPLES = 16


@dataclass(frozen=True)
class Case:
    """A model with a plan per precision and samples that it was not calibrated with.

    Args:
        model: in canonical form.
        plans: by precision.
        samples: float32 N×(the model's row shape), read-only.
        mixed: further INT8 plans, by a name of `MIXED_PLANS`.
    """

    model: LoadedModel
    plans: Mapping[Precision, QuantizationPlan]
    samples: np.ndarray
    mixed: Mapping[str, QuantizationPlan]

    def variant(self, precision: Precision) -> Variant:
        """What a converter is given."""
        return Variant(self.model, self.plans[precision])

    def expected(self, precision: Precision, scheme: Scheme) -> np.ndarray:
        """What an artifact must answer, by the plan's own simulation: float32, samples first, all outputs in a row."""
        return simulate(self.model, self.plans[precision], scheme, [self.samples.copy()])

    def expressible(self, name: str, info: RuntimeInfo) -> QuantizationPlan:
        """What a runtime is given of a mixed plan."""
        return expressible(self.mixed[name], self.model, info)[0]

    def output_steps(self, scheme: Scheme) -> np.ndarray:
        """By how much each value of the answer changes when its INT8 value changes by one, in a row."""
        return np.concatenate(
            [np.full(math.prod(one.shape), self._step(one.name, scheme)) for one in self.model.outputs]
        )

    def _step(self, name: str, scheme: Scheme) -> float:
        activation = self.plans[Precision.INT8].activations[name]
        return activation.symmetric_scale if scheme is Scheme.SYMMETRIC else activation.scale


def case_of(kind: type[TinyModel]) -> Case:
    """The tiny model with random weights and plans from random calibration data; the same every time."""
    return _case_of(kind)  # type: ignore[arg-type]  # mypy compares the class with what its instances would need


@cache
def _case_of(kind: type[TinyModel]) -> Case:
    model = canonicalise(build(kind), kind.input_shape, name=kind.__name__.lower())
    random = np.random.default_rng(0)
    batches = [random.standard_normal((8, *model.row_shape)).astype(np.float32) for _ in range(CALIBRATION_BATCHES)]
    samples = random.standard_normal((SAMPLES, *model.row_shape)).astype(np.float32)
    samples.flags.writeable = False
    return Case(model, plans_of(model, batches), samples, _mixed_plans(model, batches))


def plans_of(model: LoadedModel, batches: list[np.ndarray]) -> dict[Precision, QuantizationPlan]:
    """One plan per precision.

    Args:
        model: in canonical form.
        batches: calibration samples, float32 in the model's layout, batch first.
    """
    statistics = calibrate(model.graph, batches, place(model.graph).tensors)
    count = sum(map(len, batches))
    int8, _ = correct_biases(model, int8_plan(model, statistics, data_fingerprint="", samples=count), batches)
    return {
        Precision.FLOAT32: float_plan(model, Precision.FLOAT32),
        Precision.FLOAT16: float_plan(model, Precision.FLOAT16),
        Precision.INT8: int8,
    }


def _mixed_plans(model: LoadedModel, batches: list[np.ndarray]) -> dict[str, QuantizationPlan]:
    tensors = place(model.graph).tensors
    statistics = calibrate(model.graph, batches, tensors)
    layers = [node.name for node in model.graph.graph.nodes if is_layer(node)]
    linear = frozenset(name for name in layers if name.startswith("linear"))
    some, groups = frozenset(layers[1::2]), sorted(set(tensors.values()))[1::2]
    wide = frozenset(name for name, group in tensors.items() if group in groups)
    recipes = (
        Recipe(weight_bits=4),
        Recipe(activation_bits=16),
        Recipe(wide=wide),
        Recipe(half=some),
        Recipe(keep_float=some),
        Recipe(activation_bits=32),
        Recipe(activation_bits=32, weight_bits=4),
        Recipe(activation_bits=32, dynamic=linear),
    )
    plans = (int8_plan(model, statistics, data_fingerprint="", samples=0, recipe=recipe) for recipe in recipes)
    return dict(zip(MIXED_PLANS, plans, strict=True))


class Artifacts:
    """Tiny models as files of one runtime; each is converted when it is first asked for.

    Args:
        runtime: what converts.
        folder: empty; gets one folder per model and plan.
    """

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self._runtime = runtime
        self._folder = folder
        self._converted: dict[tuple[type[TinyModel], str], Artifact] = {}

    def get(self, kind: type[TinyModel], plan: str) -> Artifact:
        """The artifact of a precision, or of what the runtime can express of one of `MIXED_PLANS`.

        Its folder is `out`, and `elsewhere` beside it was the working directory.
        """
        if (kind, plan) not in self._converted:
            self._converted[kind, plan] = self._convert(kind, plan)
        return self._converted[kind, plan]

    def _convert(self, kind: type[TinyModel], plan: str) -> Artifact:
        case = case_of(kind)
        chosen = case.expressible(plan, self._runtime.info) if plan in MIXED_PLANS else case.plans[Precision(plan)]
        folder = self._folder / f"{kind.__name__}-{plan}"
        out, elsewhere = folder / "out", folder / "elsewhere"
        out.mkdir(parents=True)
        elsewhere.mkdir()
        with contextlib.chdir(elsewhere):
            return self._runtime.convert(Variant(case.model, chosen), out)
