"""Sentences about a run that its reports share."""

from __future__ import annotations

from collections.abc import Sequence

from pocketfit.contract import Contract, Exact, Kernel, Layout, Letterbox, ShorterSide
from pocketfit.runtimes.delegates import delegate_told
from pocketfit.search.budget import DEFAULT_MAX_DROP_DB, DEFAULT_MAX_DROP_POINTS, DEFAULT_MAX_DROP_SHARE
from pocketfit.search.units import drop, figure, size
from pocketfit.types import Candidate, FitResult, MetricInfo, Rung

__all__ = [
    "budget_lines",
    "data_lines",
    "float_line",
    "measured_where",
    "not_run_lines",
    "notes",
    "preprocessing_lines",
    "rung_lines",
]


def measured_where(result: FitResult) -> str:
    """Where latency was measured, such as "this host, AMD EPYC, 2 cores, Linux"."""
    places = dict.fromkeys(
        latency.where
        for candidate in result.candidates
        if candidate.evidence is not None
        for latency in candidate.evidence.latencies
    )
    return "; ".join(f"this host, {place}" if place == result.host else place for place in places or (result.host,))


def not_run_lines(result: FitResult) -> list[str]:
    """Which artifacts were converted, but not run here, and why; one line a reason."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for candidate in result.candidates:
        if candidate.not_run is not None:
            by_reason.setdefault((candidate.runtime, candidate.not_run.reason), []).append(candidate.precision)
    return [
        f"{runtime} {', '.join(precisions)}: {reason}. Accuracy and latency are not known."
        for (runtime, reason), precisions in by_reason.items()
    ]


def notes(result: FitResult) -> list[str]:
    """What a reader should know: of the run, then of each candidate and its artifact."""
    own = [
        f"{candidate.runtime} {candidate.precision}: {note}"
        for candidate in result.candidates
        for note in (*candidate.notes, *_artifact_notes(candidate))
    ]
    return list(dict.fromkeys((*result.notes, *own)))


def float_line(result: FitResult) -> str:
    """What the float model reaches, such as "float top-1 90.2%"; empty without labels."""
    metric = result.metric
    return "" if result.float_value is None else f"float {metric.name} {figure(result.float_value, metric.unit)}"


def budget_lines(result: FitResult) -> list[tuple[str, str]]:
    """What was asked for, as names and values."""
    budget, metric = result.budget, result.metric
    if budget.max_drop_points is None:
        worse = f"{_default_drop(metric.unit)}, the default where labels are known"
    else:
        worse = drop(budget.max_drop_points, metric.unit)
    limits = {"Size": budget.max_size_bytes, "Memory": budget.max_memory_bytes}
    bytes_ = [(name, "no limit" if limit is None else size(limit)) for name, limit in limits.items()]
    return [("Accuracy drop" if metric.answers else f"Drop of {metric.name}", worse), *bytes_]


def _default_drop(unit: str) -> str:
    if unit in ("%", "dB"):
        return drop(DEFAULT_MAX_DROP_POINTS if unit == "%" else DEFAULT_MAX_DROP_DB, unit)
    return f"{100 * DEFAULT_MAX_DROP_SHARE:.0f}% of the float model's figure"


def data_lines(result: FitResult) -> list[tuple[str, str]]:
    """Which data was used for what, as names and values."""
    judged = "with labels" if result.float_value is not None else "without labels, so that accuracy is not known"
    return [
        ("Calibration", f"{result.calibration_samples:,} samples; their labels, if any, were not used"),
        ("Evaluation", f"{result.evaluation_samples:,} other samples, held out, {judged}"),
    ]


def preprocessing_lines(spec: Contract | None) -> list[tuple[str, str]]:
    """From a decoded image to the model's input, as names and values in the order of the steps."""
    if spec is None:
        return [("Inputs", "fed to the model as they are")]
    return [
        ("Resize", _resize(spec)),
        ("Crop", "none" if spec.crop is None else f"the centre {_size(spec.crop.size)}"),
        ("Colour", spec.color.value.upper()),
        ("Scale", f"pixel x {spec.scale:.6g}"),
        ("Mean", _channels(spec.mean) + ", subtracted after scaling"),
        ("Std", _channels(spec.std) + ", divides last"),
        *([] if spec.layout is Layout.NCHW else [("Layout", spec.layout.value.upper())]),
    ]


def rung_lines(result: FitResult) -> list[str]:
    """What each step of the rescue ladder gained, one line a step."""
    befores = (None, *result.rungs)
    return [_rung(rung, before, result.metric) for rung, before in zip(result.rungs, befores, strict=False)]


def _rung(rung: Rung, before: Rung | None, metric: MetricInfo) -> str:
    score = rung.score
    worse = "" if score.drop_points is None else f"drop {drop(score.drop_points, metric.unit)}, "
    same = f"{100 * score.agreement:.2f}% same answers, " if metric.answers else ""
    figures = f"{worse}{same}{score.sqnr_db:.1f} dB"
    outcome = "" if before is None else ": kept" if rung.kept else ": did not help, dropped"
    return f"{rung.name}{outcome} ({figures}, {rung.seconds:.0f} s)" + "".join(f" {note}" for note in rung.notes)


def _resize(spec: Contract) -> str:
    match spec.resize:
        case None:
            return "none"
        case ShorterSide(pixels=pixels):
            return f"shorter side to {pixels} pixels, aspect kept, {_kernel(spec)}"
        case Letterbox(size=size, fill=fill):
            return f"into {_size(size)}, aspect kept, the rest filled with {_channels(fill)}, {_kernel(spec)}"
        case Exact(size=size):
            return f"to {_size(size)}, {_kernel(spec)}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} (height x width)"


def _kernel(spec: Contract) -> str:
    if spec.kernel not in (Kernel.BILINEAR, Kernel.BICUBIC):
        return f"kernel {spec.kernel}"
    return f"{spec.kernel} {'with' if spec.antialias else 'without'} antialiasing"


def _channels(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _artifact_notes(candidate: Candidate) -> tuple[str, ...]:
    """What the converter says, and what became here of a delegate that was asked for."""
    said = () if candidate.artifact is None else candidate.artifact.notes
    told = "" if candidate.evidence is None else delegate_told(candidate.evidence.kernels)
    return (*said, told) if told else said
