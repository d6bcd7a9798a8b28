"""Which artifact suits which phone of the field, by tier: predicted latency, and the artifacts' own accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pocketfit.search.choose import is_allowed
from pocketfit.types import Budget, Candidate, FieldDevice, LoadedModel

if TYPE_CHECKING:
    from pocketfit.devices.predict.predict import ModelNeeds, Prediction
    from pocketfit.devices.profile import Profile
    from pocketfit.inspection.cost import Inspection

__all__ = ["TIERS", "Tier", "survey"]

Tier = Literal["high", "mid", "low"]
TIERS: tuple[Tier, ...] = ("high", "mid", "low")
_CARRIED = ("phone", "tablet")


def survey(
    model: LoadedModel,
    inspection: Inspection,
    candidates: Sequence[Candidate],
    budget: Budget,
    tiers: Sequence[Tier],
) -> tuple[FieldDevice, ...]:
    """Choose artifact, processor and threads for every phone of the tiers that is known.

    Args:
        model: that the candidates were made from; latency is predicted from its layers.
        inspection: of it.
        candidates: those that fit the budget take part.
        budget: what the user allows.
        tiers: in the order of the table; none for an empty one.

    Returns:
        By tier; in it, the fastest device first, and last those of which nothing is known.
    """
    if not tiers:
        return ()
    from pocketfit.devices.predict.demands import demands_of
    from pocketfit.devices.predict.predict import model_needs
    from pocketfit.devices.profile import all_profiles

    needs = model_needs(demands_of(model), inspection)
    allowed = {(one.runtime, str(one.precision)): one for one in candidates if is_allowed(one, budget)}
    phones = [one for one in all_profiles() if one.kind in _CARRIED and one.tier in tiers]
    rows = [_device(needs, one, allowed) for one in phones]
    return tuple(sorted(rows, key=lambda row: (tiers.index(row.tier), row.ms is None, row.ms or 0.0)))


def _device(needs: ModelNeeds, profile: Profile, allowed: Mapping[tuple[str, str], Candidate]) -> FieldDevice:
    best = next(_ways(needs, profile, allowed), None)
    if best is None:
        return FieldDevice(profile.tier, profile.name)
    candidate = allowed[best.runtime, best.precision]
    evidence = candidate.evidence
    assert evidence is not None  # what is allowed was run
    return FieldDevice(
        tier=profile.tier,
        device=profile.name,
        runtime=candidate.runtime,
        precision=candidate.precision,
        processor=best.processor,
        threads=best.threads,
        ms=best.latency.ms,
        low_ms=best.latency.low_ms,
        high_ms=best.latency.high_ms,
        memory_bytes=best.memory_bytes,
        accuracy=None if evidence.accuracy is None else evidence.accuracy.value,
        drop_points=None if evidence.accuracy is None else evidence.accuracy.drop_points,
        size_bytes=evidence.size_bytes,
    )


def _ways(needs: ModelNeeds, profile: Profile, allowed: Mapping[tuple[str, str], Candidate]) -> Iterator[Prediction]:
    """The ways to run one of the artifacts, the fastest first, each with the threads that pay."""
    from pocketfit.devices.predict.predict import predict
    from pocketfit.devices.predict.threads import best_counts, with_counts

    found = best_counts(predict(needs, with_counts(profile, None)))
    return (one for one in found if (one.runtime, one.precision) in allowed)
