"""Other thread counts of a device that was measured with one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.latency.known import choose, estimate
from benchmarks.latency.leave_out import MEASURED, Results, Table
from benchmarks.latency.runs import Run
from benchmarks.latency.scores import Predicted

__all__ = ["comparable", "other_thread_counts"]

_ALL_CORES = 0


@dataclass(frozen=True)
class _Pairs:
    """Runs with several threads, and with one on the same device.

    Args:
        devices: of each pair.
        change: logarithms of the one latency over the other, pairs × networks.
        traits: of each pair.
        several: with how many threads.
    """

    devices: np.ndarray
    change: np.ndarray
    traits: np.ndarray
    several: np.ndarray


def other_thread_counts(data: Table, keep: Callable[[int], bool]) -> Results:
    """A device left out but for its run with one thread; of each other run three networks are measured, or none.

    Args:
        data: runs with all thread counts.
        keep: which thread counts are scored.
    """
    pairs = _pairs(data)
    results: Results = {"ours": [], "the same for all networks": []}
    for device in np.unique(pairs.devices):
        out = pairs.devices == device
        known = estimate(pairs.change[~out], pairs.traits[~out])
        for row in (one for one in np.flatnonzero(out) if keep(int(pairs.several[one]))):
            truth = pairs.change[row]
            measured = list(np.flatnonzero(np.isfinite(truth)))
            chosen = choose(known.covariance, measured, MEASURED)
            rest = [one for one in measured if one not in chosen]
            mean, variance = known.given(pairs.traits[row], chosen, truth[chosen])
            results["ours"] += _predicted(device, mean[rest] - truth[rest], np.sqrt(variance[rest]))
            level = np.full(len(rest), truth[chosen].mean())
            results["the same for all networks"] += _predicted(device, level - truth[rest], np.ones(len(rest)))
    return results


def _predicted(device: str, errors: np.ndarray, deviations: np.ndarray) -> Iterator[Predicted]:
    return (Predicted(device, float(one), float(wide)) for one, wide in zip(errors, deviations, strict=True))


def _pairs(data: Table) -> _Pairs:
    found = [
        (one, several)
        for one, first in enumerate(data.runs)
        for several, second in enumerate(data.runs)
        if first.mobile and first.device == second.device and comparable(first, second)
    ]
    threads = np.array([data.runs[several].threads for _, several in found])
    doublings = np.log2(threads)
    return _Pairs(
        np.array([data.runs[one].device for one, _ in found]),
        np.array([data.log_us[several] - data.log_us[one] for one, several in found]),
        np.column_stack([doublings / 2, np.minimum(doublings, 2) / 2]),
        threads,
    )


def comparable(one: Run, several: Run) -> bool:
    """One thread, and several on the same cores or on all of them."""
    return one.threads == 1 < several.threads and several.powersave in (one.powersave, _ALL_CORES)
