"""Check every kernel against the reference, then time all of them in turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pocketfit.devices.opencl.convolution import Case, Convolution, make_case, tolerance
from pocketfit.devices.opencl.device import Device, open_queue
from pocketfit.devices.opencl.layouts import Layout
from pocketfit.devices.opencl.meaning import conclude, meaning
from pocketfit.devices.opencl.preference import judge
from pocketfit.devices.opencl.prepared import Prepared
from pocketfit.devices.opencl.results import ConvolutionResult, ProbeResult, Row, State
from pocketfit.devices.opencl.variants import VARIANTS, Variant, obstacle
from pocketfit.errors import OptionError
from pocketfit.stages import Nobody, Watcher

if TYPE_CHECKING:
    import pyopencl as cl

__all__ = ["ROUNDS", "check", "compare", "probe"]

ROUNDS = 21
NAIVE = VARIANTS[0].name

Times = Mapping[str, Sequence[float]]


def probe(
    device: Device, convolutions: Sequence[Convolution], *, rounds: int = ROUNDS, watcher: Watcher | None = None
) -> ProbeResult:
    """Run every variant of every convolution on a device.

    A kernel that the device cannot run, or that answers wrongly, is a row with its reason.

    Args:
        device: of `find_devices`.
        convolutions: one or more.
        rounds: times of each kernel, 1 or more; below 10 no difference can be told from chance.
        watcher: is shown each convolution as a stage.

    Raises:
        OptionError: no convolution, or no round.
        RuntimeMissing: OpenCL is not there.
    """
    if not convolutions or rounds < 1:
        raise OptionError(f"got {len(convolutions)} convolutions and {rounds} rounds. Give 1 or more of each.")
    queue = open_queue(device)
    results = tuple(_probe_one(queue, device, one, rounds, watcher or Nobody()) for one in convolutions)
    preferences = [(result.convolution, result.preference) for result in results]
    return ProbeResult(device, rounds, results, conclude(device, preferences), meaning(device, preferences))


def _probe_one(
    queue: cl.CommandQueue, device: Device, convolution: Convolution, rounds: int, watcher: Watcher
) -> ConvolutionResult:
    stage, start = f"{convolution.kernel}x{convolution.kernel} convolution", time.monotonic()
    watcher.start(stage, len(VARIANTS) + rounds)
    rows: dict[str, Row] = {}
    ready: dict[str, Prepared] = {}
    for done, variant in enumerate(VARIANTS):
        watcher.advance(stage, done)
        rows[variant.name], prepared = check(queue, device, convolution, variant)
        if prepared is not None:
            ready[variant.name] = prepared
    times: dict[str, list[float]] = {name: [] for name in ready}
    for turn in range(rounds):
        watcher.advance(stage, len(VARIANTS) + turn)
        _round(ready, times, turn)
    for prepared in ready.values():
        prepared.release()
    watcher.finish(stage, time.monotonic() - start, reused=False)
    timed = tuple(_timed(row, times, convolution) for row in rows.values())
    return ConvolutionResult(convolution, timed, judge(_best_of_each_layout(times)))


def check(
    queue: cl.CommandQueue, device: Device, convolution: Convolution, variant: Variant
) -> tuple[Row, Prepared | None]:
    """Build, tune and check a variant; the second value is None where there is nothing to be timed."""
    import pyopencl as cl

    if reason := obstacle(variant, convolution, device):
        return Row(variant.name, variant.layout, State.SKIPPED, reason), None
    case = make_case(convolution, half=variant.half)
    try:
        prepared = Prepared(queue, variant, case, device)
        prepared.tune()
        row = compare(prepared, case)
    except cl.Error as error:
        return Row(variant.name, variant.layout, State.FAILED, _said_by_driver(error)), None
    return row, prepared if row.state is State.RIGHT else None


def compare(prepared: Prepared, case: Case) -> Row:
    """Run a kernel with its work-group and compare the answer with the case's reference."""
    import numpy as np

    variant = prepared.variant
    error = float(np.abs(prepared.answer() - case.reference).max())
    allowed = tolerance(case, variant.unit_roundoff)
    right = error <= allowed  # false as well where a part of the answer is no number
    return Row(
        variant=variant.name,
        layout=variant.layout,
        state=State.RIGHT if right else State.WRONG,
        reason="" if right else f"the answer is off by {error:.2g}, and rounding explains {allowed:.2g}",
        work_group=prepared.work_group,
        max_error=error if math.isfinite(error) else None,
        tolerance=allowed,
    )


def _said_by_driver(error: Exception) -> str:
    """The line of a driver's message that names the error; its log may fill pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)


def _round(ready: Mapping[str, Prepared], times: Mapping[str, list[float]], turn: int) -> None:
    """Time every kernel once, so that what slows the device down for a while hits all alike.

    Every round begins with another kernel, so that none always follows the same one.
    """
    names = list(ready)
    for place in range(len(names)):
        name = names[(turn + place) % len(names)]
        times[name].append(ready[name].run())


def _best_of_each_layout(times: Times) -> dict[Layout, Sequence[float]]:
    best: dict[Layout, Sequence[float]] = {}
    for variant in VARIANTS:
        taken = times.get(variant.name)
        if variant.compared and taken and _is_faster(taken, best.get(variant.layout)):
            best[variant.layout] = taken
    return best


def _is_faster(times_ms: Sequence[float], than_ms: Sequence[float] | None) -> bool:
    return than_ms is None or statistics.median(times_ms) < statistics.median(than_ms)


def _timed(row: Row, times: Times, convolution: Convolution) -> Row:
    import numpy as np

    if row.variant not in times:
        return row
    p10, median, p90 = (float(value) for value in np.percentile(times[row.variant], (10, 50, 90)))
    naive = times.get(NAIVE)
    return replace(
        row,
        median_ms=median,
        p10_ms=p10,
        p90_ms=p90,
        gflops=convolution.operations / median / 1e6,
        speedup=statistics.median(naive) / median if naive else None,
    )
