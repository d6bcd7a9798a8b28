"""A policy to begin from: full, lite when the battery is low, the fastest when hot, intermittent when it is worse.

Of a bundle with several variants, `full`, `fast` and `lite` are those of these names; without them, full is the first
and the other two the second. Every variant that is left is used in the scene that has its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from pocketfit.errors import InputError
from pocketfit.policy.condition import Condition
from pocketfit.policy.sensors import Sensor
from pocketfit.policy.spec import ArtifactRef, Choice, Policy, Rule, Run, Variant
from pocketfit.types import Precision

__all__ = ["default_policy"]

RUNTIMES = ("litert", "onnxruntime", "ncnn", "mnn", "executorch", "coreml")
SHIPPED = (Precision.FLOAT16, Precision.INT8)
LARGEST_FIRST = (Precision.FLOAT16, Precision.FLOAT32, Precision.INT8)
SMALLEST_FIRST = (Precision.INT8, Precision.FLOAT16, Precision.FLOAT32)


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
    groups = _by_folder(known)
    full, fast, lite, scenes = _roles(list(groups))
    variants = _variants(groups[full], groups[fast], groups[lite])
    whole = tuple(Variant(name, _best(groups[name], LARGEST_FIRST)) for name in scenes)
    return Policy(variants=(*variants, *whole), default=Choice("full"), rules=_rules(scenes))


def _by_folder(artifacts: Sequence[ArtifactRef]) -> Mapping[str, Sequence[ArtifactRef]]:
    """By the last part of the bundle's folder, which is empty for the one that ships the policy."""
    groups: dict[str, list[ArtifactRef]] = {}
    for artifact in artifacts:
        groups.setdefault(PurePosixPath(artifact.bundle).name, []).append(artifact)
    return groups


def _roles(names: Sequence[str]) -> tuple[str, str, str, tuple[str, ...]]:
    """Who is full, fast and lite, and who is left for scenes."""
    full = "full" if "full" in names else names[0]
    left = [name for name in names if name != full]
    lite = "lite" if "lite" in left else (left or [full])[0]
    fast = "fast" if "fast" in left else lite
    return full, fast, lite, tuple(name for name in left if name not in (fast, lite, ""))


def _variants(
    full: Sequence[ArtifactRef], fast: Sequence[ArtifactRef], lite: Sequence[ArtifactRef]
) -> tuple[Variant, ...]:
    return (
        Variant("full", _best(full, LARGEST_FIRST)),
        Variant("fast", _best(fast, SMALLEST_FIRST)),
        Variant("lite", _best(lite, SMALLEST_FIRST), threads=1),
    )


def _best(artifacts: Sequence[ArtifactRef], order: Sequence[Precision]) -> tuple[ArtifactRef, ...]:
    """Of each runtime the artifact whose precision comes first in the order."""
    by_runtime: dict[str, list[ArtifactRef]] = {}
    for artifact in artifacts:
        by_runtime.setdefault(artifact.runtime, []).append(artifact)
    return tuple(min(group, key=lambda one: order.index(one.precision)) for group in by_runtime.values())


def _rules(scenes: Sequence[str]) -> tuple[Rule, ...]:
    """Heat first, because a throttled phone is slow for everyone; then the scene, the battery, the user's wish."""
    heat = Sensor.THERMAL_STATUS
    intermittent = Choice("lite", Run(on_ms=1_000, period_ms=4_000), dwell_ms=30_000)
    discharging = Condition(equals=False, unknown=True)
    return (
        Rule("critical", {heat: Condition(at_least=4, leave_below=3)}, Choice("lite", Run(on_ms=0)), urgent=True),
        Rule("severe", {heat: Condition(at_least=3, leave_below=2)}, intermittent, urgent=True),
        Rule("memory", {Sensor.MEMORY_PRESSURE: Condition(at_least=2, leave_below=1)}, Choice("lite"), urgent=True),
        *(Rule(name, {Sensor.SCENE: Condition(any_of=(name,))}, Choice(name)) for name in scenes),
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
