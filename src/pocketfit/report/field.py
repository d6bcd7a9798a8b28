"""The table of the field in words: what suits which phone, and what suits a tier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pocketfit.search.units import drop, figure, milliseconds, significant, size
from pocketfit.types import FieldDevice, FitResult

__all__ = ["FIELD_FIGURES", "FIELD_NOTE", "FIELD_WORDS", "field_rows", "tier_lines"]

FIELD_WORDS = ("tier", "device", "artifact", "on")
FIELD_FIGURES = ("predicted", "90 % interval", "memory", "size", "accuracy", "drop")
FIELD_NOTE = (
    "Latency and memory of the field are predicted, none was measured there. Accuracy and size are the artifact's own, "
    "measured here. A device without figures is known with none of these runtimes and precisions."
)
_UNKNOWN = "-"


def field_rows(result: FitResult) -> list[tuple[str, ...]]:
    """Cells of every device, `FIELD_WORDS` first."""
    return [_cells(one, result) for one in result.field]


def tier_lines(result: FitResult) -> list[str]:
    """What each tier is best served with, in a sentence."""
    return list(_tiers(result))


def _tiers(result: FitResult) -> Iterator[str]:
    for tier in dict.fromkeys(one.tier for one in result.field):
        known = [one for one in result.field if one.tier == tier and one.runtime]
        if not known:
            yield f"{tier}: nothing is known of these runtimes and precisions on its devices"
            continue
        (runtime, precision, where), count = Counter(
            (one.runtime, one.precision, _processor(one)) for one in known
        ).most_common(1)[0]
        slowest = max(known, key=lambda one: one.ms or 0.0)
        yield (
            f"{tier}: {runtime} {precision} on the {where} is the fastest on most devices, {count} of {len(known)}; "
            f"the slowest is {slowest.device}, {milliseconds(slowest.ms or 0.0)} with "
            f"{slowest.runtime} {slowest.precision}"
        )


def _cells(one: FieldDevice, result: FitResult) -> tuple[str, ...]:
    if one.ms is None or one.low_ms is None or one.high_ms is None:
        return (one.tier, one.device, *[_UNKNOWN] * (len(FIELD_WORDS) - 2 + len(FIELD_FIGURES)))
    unit = result.metric.unit
    return (
        one.tier,
        one.device,
        f"{one.runtime} {one.precision}",
        _processor(one),
        milliseconds(one.ms),
        f"{significant(one.low_ms)} to {milliseconds(one.high_ms)}",
        size(one.memory_bytes or 0),
        size(one.size_bytes or 0),
        _UNKNOWN if one.accuracy is None else figure(one.accuracy, unit),
        _UNKNOWN if one.drop_points is None else drop(one.drop_points, unit),
    )


def _processor(one: FieldDevice) -> str:
    return f"CPU x{one.threads}" if one.processor == "cpu" else one.processor.upper()
