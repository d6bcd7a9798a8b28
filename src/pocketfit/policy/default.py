"""A policy to begin from: full, lite when the battery is low, the fastest when hot, intermittent when it is worse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pocketfit.errors import InputError
from pocketfit.policy.condition import Condition
from pocketfit.policy.sensors import Sensor
from pocketfit.policy.spec import ArtifactRef, Choice, Policy, Rule, Run, Variant
from pocketfit.types import Precision

__all__ = ["default_policy"]

RUNTIMES = ("litert", "onnxruntime", "ncnn", "mnn", "executorch", "coreml")
SHIPPED = (Precision.FLOAT16, Precision.INT8)


def default_policy(artifacts: Iterable[ArtifactRef] | None = None) -> Policy:
    """The default policy over a bundle's artifacts.

    Args:
        artifacts: that the bundle has, in the order in which an app should prefer their runtimes; None for every
            built-in runtime in float16 and INT8.

    Raises:
        InputError: the bundle has no artifact.
    """
    if artifacts is None:
        artifacts = [ArtifactRef(runtime, precision) for runtime in RUNTIMES for precision in SHIPPED]
    known = list(artifacts)
    if not known:
        raise InputError("the bundle has no artifact that a policy could choose; fit the model for a runtime first.")
    return Policy(variants=_variants(known), default=Choice("full"), rules=_rules())


def _variants(artifacts: Sequence[ArtifactRef]) -> tuple[Variant, ...]:
    full = _best(artifacts, (Precision.FLOAT16, Precision.FLOAT32, Precision.INT8))
    small = _best(artifacts, (Precision.INT8, Precision.FLOAT16, Precision.FLOAT32))
    return (Variant("full", full), Variant("fast", small), Variant("lite", small, threads=1))


def _best(artifacts: Sequence[ArtifactRef], order: Sequence[Precision]) -> tuple[ArtifactRef, ...]:
    """Of each runtime the artifact whose precision comes first in the order."""
    by_runtime: dict[str, list[ArtifactRef]] = {}
    for artifact in artifacts:
        by_runtime.setdefault(artifact.runtime, []).append(artifact)
    return tuple(min(group, key=lambda one: order.index(one.precision)) for group in by_runtime.values())


def _rules() -> tuple[Rule, ...]:
    """Heat first, because a throttled phone is slow for everyone; then the battery, then the user's wish."""
    heat = Sensor.THERMAL_STATUS
    intermittent = Choice("lite", Run(on_ms=1_000, period_ms=4_000), dwell_ms=30_000)
    discharging = Condition(equals=False, unknown=True)
    return (
        Rule("critical", {heat: Condition(at_least=4, leave_below=3)}, Choice("lite", Run(on_ms=0)), urgent=True),
        Rule("severe", {heat: Condition(at_least=3, leave_below=2)}, intermittent, urgent=True),
        Rule("memory", {Sensor.MEMORY_PRESSURE: Condition(at_least=2, leave_below=1)}, Choice("lite"), urgent=True),
        Rule(
            "battery-low",
            {Sensor.BATTERY_PERCENT: Condition(at_most=19, leave_above=24), Sensor.CHARGING: discharging},
            Choice("lite"),
        ),
        Rule("hot", {heat: Condition(at_least=2, leave_below=1)}, Choice("fast")),
        Rule("headroom", {Sensor.HEADROOM_PERMILLE: Condition(at_least=850, leave_below=700)}, Choice("fast")),
        Rule("low-power", {Sensor.LOW_POWER: Condition(equals=True)}, Choice("lite")),
        Rule(
            "no-thermal-sensor",
            {heat: Condition(unknown=True), Sensor.HEADROOM_PERMILLE: Condition(unknown=True)},
            Choice("fast"),
        ),
    )
