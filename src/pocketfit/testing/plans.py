"""A tiny network with its plans: what a converter is given, and what the artifact must answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from pocketfit.compress.quantize.bias_correction import correct_biases
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.models.canonical import canonicalise
from pocketfit.testing.models import TinyModel, build
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Scheme, Variant

__all__ = ["Case", "case_of", "plans_of"]

CALIBRATION_BATCHES = 4
SAMPLES = 16


@dataclass(frozen=True)
class Case:
    """A model with a plan per precision and samples that it was not calibrated with.

    Args:
        model: in canonical form.
        plans: by precision.
        samples: float32 N×(input shape), read-only.
    """

    model: LoadedModel
    plans: Mapping[Precision, QuantizationPlan]
    samples: np.ndarray

    def variant(self, precision: Precision) -> Variant:
        """What a converter is given."""
        return Variant(self.model, self.plans[precision])

    def expected(self, precision: Precision, scheme: Scheme) -> np.ndarray:
        """What an artifact must answer, by the plan's own simulation: float32, samples first."""
        return simulate(self.model, self.plans[precision], scheme, [self.samples.copy()])

    def output_step(self, scheme: Scheme) -> float:
        """By how much the answer changes when its INT8 value changes by one."""
        activation = self.plans[Precision.INT8].activations[self.model.output.name]
        return activation.symmetric_scale if scheme is Scheme.SYMMETRIC else activation.scale


def case_of(kind: type[TinyModel]) -> Case:
    """The tiny model with random weights and plans from random calibration data; the same every time."""
    return _case_of(kind)  # type: ignore[arg-type]  # mypy compares the class with what its instances would need


@cache
def _case_of(kind: type[TinyModel]) -> Case:
    model = canonicalise(build(kind), kind.input_shape, name=kind.__name__.lower())
    random = np.random.default_rng(0)
    batches = [random.standard_normal((8, *kind.input_shape)).astype(np.float32) for _ in range(CALIBRATION_BATCHES)]
    samples = random.standard_normal((SAMPLES, *kind.input_shape)).astype(np.float32)
    samples.flags.writeable = False
    return Case(model, plans_of(model, batches), samples)


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
