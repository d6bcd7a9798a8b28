"""What a probe found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pocketfit.devices.opencl.convolution import Convolution
from pocketfit.devices.opencl.device import Device
from pocketfit.devices.opencl.layouts import Layout
from pocketfit.devices.opencl.preference import Preference

__all__ = ["ConvolutionResult", "ProbeResult", "Row", "State"]


class State(StrEnum):
    """How a kernel fared; only those with the right answer are timed."""

    RIGHT = "right"
    WRONG = "wrong"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """One kernel.

    Args:
        variant: its name.
        layout: of its activations.
        state: how it fared.
        reason: why it has no times, in words; empty when it has.
        work_group: the fastest of those tried, along columns, rows and blocks of filters.
        median_ms: of the device's own times.
        p10_ms: a tenth of the times are shorter.
        p90_ms: a tenth of the times are longer.
        gflops: billions of operations a second, at the median.
        speedup: the naive kernel's median divided by this one's; None without a naive one.
        max_error: largest absolute difference from the reference; None when the answer holds what is no number.
        tolerance: the largest that rounding explains.
    """

    variant: str
    layout: Layout
    state: State
    reason: str = ""
    work_group: tuple[int, int, int] | None = None
    median_ms: float | None = None
    p10_ms: float | None = None
    p90_ms: float | None = None
    gflops: float | None = None
    speedup: float | None = None
    max_error: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class ConvolutionResult:
    """All kernels on one convolution; `preference` is None where no layout was timed."""

    convolution: Convolution
    rows: tuple[Row, ...]
    preference: Preference | None


@dataclass(frozen=True)
class ProbeResult:
    """What a device makes of the convolutions.

    Args:
        device: it.
        rounds: times of each kernel.
        convolutions: one result each.
        conclusion: which layout the device prefers, in words.
        meaning: what follows for runtimes, in sentences.
    """

    device: Device
    rounds: int
    convolutions: tuple[ConvolutionResult, ...]
    conclusion: str
    meaning: tuple[str, ...]
