"""A policy small enough to follow by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pocketfit.policy import ArtifactRef, Choice, Condition, Handover, Policy, Rule, Sensor, Variant
from pocketfit.types import Precision

MakePolicy = Callable[..., Policy]


@pytest.fixture
def variants() -> tuple[Variant, ...]:
    return tuple(
        Variant(name, (ArtifactRef("litert", precision),))
        for name, precision in (("full", Precision.FLOAT16), ("lite", Precision.INT8))
    )


@pytest.fixture
def low_battery() -> Rule:
    return Rule("low", {Sensor.BATTERY_PERCENT: Condition(at_most=20, leave_above=25)}, Choice("lite"))


@pytest.fixture
def make(variants: tuple[Variant, ...]) -> MakePolicy:
    """A policy of the given rules whose hand-overs need no warm-up, and which may switch at every frame."""

    def make(
        *rules: Rule, default: Choice | None = None, dwell_ms: int = 0, handover: Handover | None = None
    ) -> Policy:
        handover = Handover(warmup_frames=0) if handover is None else handover
        return Policy(variants, default or Choice("full"), rules, dwell_ms=dwell_ms, handover=handover)

    return make
