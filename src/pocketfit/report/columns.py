"""The columns of the comparison table, the same in the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pocketfit.report.rows import Row, kernels_of, size_of
from pocketfit.search.units import amount, figure, significant, size, unit_of_drop
from pocketfit.types import Accuracy, Evidence, FitResult, Latency, MetricInfo, Precision

__all__ = ["Column", "columns", "exact_or_db"]

NOTHING = "-"

Reading = Callable[[Row], float | None]


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: one or two short lines.
        meaning: one sentence.
        importance: 0 is always shown; the higher, the earlier it is left out of a narrow terminal.
        text: what a row shows.
        order: what a row is sorted by; None sorts last.
        numeric: whether it lines up on the right.
    """

    title: str
    meaning: str
    importance: int
    text: Callable[[Row], str]
    order: Callable[[Row], float | str | None]
    numeric: bool = True


def columns(result: FitResult) -> tuple[Column, ...]:
    """The columns this result can fill: accuracy only with labels, latency for the thread counts measured."""
    measured = [candidate.evidence for candidate in result.candidates if candidate.evidence is not None]
    threads = sorted({latency.threads for evidence in measured for latency in evidence.latencies})
    labelled = any(evidence.accuracy is not None for evidence in measured)
    return (
        *_WHAT,
        *_SIZE,
        *(_metric(result.metric) if labelled else ()),
        *_PARITY,
        *(column for count in threads for column in _latency(count)),
        *_COST,
        _VERDICT,
    )


def exact_or_db(sqnr_db: float) -> str:
    """Decibel with one decimal; "exact" where there is no difference at all."""
    return "exact" if math.isinf(sqnr_db) else f"{sqnr_db:.1f}"


def _column(title: str, meaning: str, importance: int, value: Reading, show: Callable[[float], str]) -> Column:
    """A column of one number, which may be missing."""
    return Column(
        title, meaning, importance, lambda row: NOTHING if (found := value(row)) is None else show(found), order=value
    )


def _evidence(read: Callable[[Evidence], float | None]) -> Reading:
    return lambda row: None if row.candidate.evidence is None else read(row.candidate.evidence)


def _accuracy(read: Callable[[Accuracy], float | None]) -> Reading:
    return _evidence(lambda evidence: None if evidence.accuracy is None else read(evidence.accuracy))


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x"


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _interval(row: Row) -> str:
    accuracy = row.candidate.evidence.accuracy if row.candidate.evidence else None
    if accuracy is None:
        return NOTHING
    low, high = (_signed(end, accuracy.unit) for end in (accuracy.drop_low, accuracy.drop_high))
    return f"{low} to {high}"


def _signed(value: float, unit: str) -> str:
    if unit not in ("%", "dB"):
        return f"{value + 0.0:+.3g}"
    digits = 1 if unit == "%" else 2
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # adding 0.0 turns -0.0 into +0.0


def _metric(metric: MetricInfo) -> tuple[Column, ...]:
    """What the task is judged by, in its own name and unit."""
    return (
        _value(metric),
        _column(
            f"drop\n{unit_of_drop(metric.unit)}".rstrip(),
            "Percentage points lost against float." if metric.unit == "%" else "How much worse than float it is.",
            1,
            _accuracy(lambda accuracy: accuracy.drop_points),
            lambda value: amount(value, metric.unit),
        ),
        Column(
            "95%\ninterval",
            "Confidence interval of the drop.",
            6,
            _interval,
            _accuracy(lambda accuracy: accuracy.drop_high),
        ),
        *((_SAME_ANSWERS,) if metric.answers else ()),
    )


def _value(metric: MetricInfo) -> Column:
    if metric.name == "top-1":
        meaning = "Held-out samples answered correctly."
    else:
        meaning = f"On held-out samples; {'higher' if metric.higher_is_better else 'lower'} is better."
    inside = metric.unit == "%" or not metric.unit
    title = metric.name if inside else f"{metric.name}\n{metric.unit}"
    reading = _accuracy(lambda accuracy: accuracy.value)
    return _column(title, meaning, 4, reading, lambda value: figure(value, metric.unit).removesuffix(f" {metric.unit}"))


def _kernels(row: Row) -> str:
    kernels = kernels_of(row.candidate)
    if kernels is None or row.candidate.precision is not Precision.INT8:
        return NOTHING
    return f"{kernels.int8}/{kernels.total}"


def _kernel_share(row: Row) -> float | None:
    kernels = kernels_of(row.candidate)
    return None if kernels is None else kernels.int8 / max(kernels.total, 1)


def _latency(threads: int) -> tuple[Column, ...]:
    def reading(read: Callable[[Latency], float]) -> Reading:
        return _evidence(
            lambda evidence: next((read(item) for item in evidence.latencies if item.threads == threads), None)
        )

    count = f"{threads} thread{'' if threads == 1 else 's'}"
    first = threads == 1
    ratio = _column(
        "time\nratio",
        "One-thread median over that of float32 in the same runtime.",
        3,
        lambda row: row.latency_ratio,
        _times,
    )
    return (
        _column(
            f"ms\n{count}",
            f"Median of one inference with {count}.",
            0 if first else 5,
            reading(lambda item: item.median_ms),
            significant,
        ),
        _column(
            f"p90\n{count}",
            f"90th percentile with {count}.",
            7 if first else 9,
            reading(lambda item: item.p90_ms),
            significant,
        ),
        *((ratio,) if first else ()),
    )


_WHAT = (
    Column(
        "runtime", "As in --targets.", 0, lambda row: row.candidate.runtime, lambda row: row.candidate.runtime, False
    ),
    Column(
        "precision",
        "How numbers are stored.",
        0,
        lambda row: row.candidate.precision,
        lambda row: row.candidate.precision,
        False,
    ),
)

_SIZE = (
    _column("size", "All files together.", 0, lambda row: size_of(row.candidate), size),
    _column("size\nratio", "Size over that of float32 in the same runtime.", 4, lambda row: row.size_ratio, _times),
)

_SAME_ANSWERS = _column(
    "same\nanswers",
    "Held-out samples answered as the float model answers them.",
    3,
    _accuracy(lambda accuracy: accuracy.agreement),
    _per_cent,
)

_PARITY = (
    _column(
        "parity\nSQNR dB",
        "Output against the plan's own simulation; more is better.",
        5,
        _evidence(lambda evidence: evidence.parity.sqnr_db),
        exact_or_db,
    ),
    _column(
        "parity\ncosine",
        "Cosine of the output and the plan's own simulation.",
        8,
        _evidence(lambda evidence: evidence.parity.cosine),
        lambda cosine: f"{cosine:.4f}",
    ),
)

_COST = (
    _column(
        "peak\nmemory",
        "Resident memory added by opening and running it.",
        7,
        _evidence(lambda evidence: evidence.peak_memory_bytes),
        size,
    ),
    Column(
        "INT8\nkernels",
        "Convolutions, linear layers and matrix products that run on INT8 kernels, by the file where it was not run.",
        2,
        _kernels,
        _kernel_share,
    ),
)

_VERDICT = Column("verdict", "What became of it.", 0, lambda row: row.verdict, lambda row: row.verdict, False)
