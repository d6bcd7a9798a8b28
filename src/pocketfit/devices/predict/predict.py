"""Latency, memory and energy of a model on phones, predicted from their profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.devices.power import active_watts
from pocketfit.devices.predict.demands import Demand
from pocketfit.devices.predict.kinds import kinds_of
from pocketfit.devices.predict.speeds import Estimate, Speeds, adapted, amounts_vector, prior_covariance
from pocketfit.devices.profile import Profile, Target

if TYPE_CHECKING:
    from pocketfit.inspection.cost import Inspection

__all__ = [
    "LayerShare",
    "ModelNeeds",
    "Prediction",
    "estimate",
    "layer_ms",
    "layer_shares",
    "model_needs",
    "predict",
    "speeds_of",
]

_NPU = "npu"

# Standard deviation of the logarithm of a speed that hardly any measured network tells of.
RARE = 0.7
_BYTES = {"float32": (4, 4), "float16": (2, 2), "int8": (1, 1), "int8x16": (1, 2)}


@dataclass(frozen=True)
class ModelNeeds:
    """What has to be known of a model, read once for all devices.

    Args:
        demands: what layers ask for.
        parameters: numbers in the weights.
        activation_numbers: largest count of numbers alive at once.
    """

    demands: tuple[Demand, ...]
    parameters: int
    activation_numbers: float

    def layers(self, processor: str) -> np.ndarray:
        """Amounts of work on a processor, layers × kinds."""
        return self._layers[processor == _NPU]

    @cached_property
    def _layers(self) -> tuple[np.ndarray, np.ndarray]:
        """On CPUs and GPUs, and on NPUs."""
        stacked = (
            np.stack([amounts_vector(one.on(processor), kinds_of(processor)) for one in self.demands])
            for processor in ("cpu", _NPU)
        )
        return next(stacked), next(stacked)


@dataclass(frozen=True)
class Prediction:
    """What is expected of a model on one phone, run in one way. Nothing of it was measured.

    Args:
        device: name of the profile.
        runtime: that runs it.
        precision: of weights and arithmetic.
        processor: "cpu", "gpu" or "npu".
        threads: on the CPU.
        latency: of one inference.
        memory_bytes: weights and activations at their peak, without the runtime's own.
        energy_mj: of one inference; rough.
    """

    device: str
    runtime: str
    precision: str
    processor: str
    threads: int
    latency: Estimate
    memory_bytes: int
    energy_mj: float


@dataclass(frozen=True)
class LayerShare:
    """The part that one layer has in a predicted latency."""

    layer: str
    op: str
    ms: float
    share: float


def model_needs(demands: Sequence[Demand], inspection: Inspection) -> ModelNeeds:
    """Gather what predictions need of a model.

    Args:
        demands: from `demands_of`.
        inspection: of the same model.
    """
    return ModelNeeds(tuple(demands), inspection.parameters, inspection.peak_activation_bytes / 4)


def predict(needs: ModelNeeds, profile: Profile) -> tuple[Prediction, ...]:
    """Predict every way to run a model that a profile knows, the fastest first."""
    found = (_prediction(needs, profile, target) for target in profile.targets)
    return tuple(sorted(found, key=lambda one: one.latency.ms))


def layer_shares(needs: ModelNeeds, target: Target) -> tuple[LayerShare, ...]:
    """Divide a predicted latency among the layers that take time, in the order of the graph."""
    times = layer_ms(needs, target)
    pairs = zip(needs.demands, times, strict=True)
    return tuple(LayerShare(one.source or one.name, one.op, ms, ms / sum(times)) for one, ms in pairs if ms)


def layer_ms(needs: ModelNeeds, target: Target) -> list[float]:
    """Predicted milliseconds of each layer, in the order of its demands."""
    times: list[float] = speeds_of(target).layer_ms(needs.layers(target.processor)).tolist()
    return times


def speeds_of(target: Target) -> Speeds:
    """The speeds of a target, adapted to the user's measurements where it has any."""
    kinds = kinds_of(target.processor)
    log_us = np.log([target.us[kind.name] for kind in kinds])
    rare = np.diag([RARE**2 * (kind.name in target.rare) for kind in kinds])
    speeds = Speeds(log_us, prior_covariance(*target.doubt, kinds) + rare, target.spread)
    measured = [(amounts_vector(one.amounts, kinds), one.ms) for one in target.measurements]
    return adapted(speeds, measured) if measured else speeds


def estimate(needs: ModelNeeds, target: Target) -> Estimate:
    """Predicted latency of one inference."""
    return speeds_of(target).estimate(needs.layers(target.processor))


def _prediction(needs: ModelNeeds, profile: Profile, target: Target) -> Prediction:
    latency = estimate(needs, target)
    weights, activations = _BYTES[target.precision]
    return Prediction(
        device=profile.name,
        runtime=target.runtime,
        precision=target.precision,
        processor=target.processor,
        threads=target.threads,
        latency=latency,
        memory_bytes=round(needs.parameters * weights + needs.activation_numbers * activations),
        energy_mj=latency.ms * active_watts(profile, target),
    )
