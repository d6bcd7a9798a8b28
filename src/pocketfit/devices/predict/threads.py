"""How many threads: what a profile was measured with, and what follows of that for other counts.

Runtimes divide a layer evenly among their threads, so that it is done when the slowest core is: a thread on a small
core holds up those on the big ones. Source: Amdahl, "Validity of the single processor approach", 1967, for the part
that no thread shares; its size and what a small core is worth are fitted to the ncnn table
(`benchmarks/latency/thread_law.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from pocketfit.devices.predict.predict import Prediction
from pocketfit.devices.profile import IN_ORDER, Profile, Target
from pocketfit.errors import OptionError

__all__ = ["MOST", "best_counts", "speed_up", "usual_threads", "with_counts"]

# Beyond four threads, waiting for each other eats what more cores bring.
MOST = 4
# Part of the time that threads do not share, and the worth of a core that computes in order at the same clock.
SERIAL, IN_ORDER_WORTH = 0.25, 0.5
# Standard deviation of the logarithm of a speed-up: 0.19 between devices, by which the law misses their medians, and
# 0.18 between the networks of one.
MISSED = 0.25
# More threads are worth their cores only if they are so much faster.
WORTH = 1.1


def usual_threads(profile: Profile) -> int:
    """The count to begin with where nothing was measured: the big cores, four at most."""
    return min(MOST, profile.big_cores)


def speed_up(profile: Profile, threads: int) -> float:
    """How many times as fast as with one thread a model is expected to run.

    Args:
        profile: whose cores the threads run on, the fastest first.
        threads: 1 to the number of cores.
    """
    speeds = sorted(_core_speeds(profile), reverse=True)
    slowest = speeds[threads - 1] / speeds[0]
    return 1.0 if threads == 1 else 1 / (SERIAL + (1 - SERIAL) / (threads * slowest))


def with_counts(profile: Profile, threads: int | None) -> Profile:
    """The ways of a profile, each on the CPU with counts of threads to compare.

    Args:
        profile: as it was measured.
        threads: the one count; None for those that were measured and the usual one.

    Raises:
        OptionError: the device has fewer cores.
    """
    cores = sum(one.count for one in profile.clusters)
    if threads is not None and not 1 <= threads <= cores:
        raise OptionError(f"--threads {threads}: {profile.name} has {cores} cores. Give 1 to {cores}, or auto.")
    others = tuple(one for one in profile.targets if one.processor != "cpu")
    by_way = groupby(sorted((one for one in profile.targets if one.processor == "cpu"), key=_way), key=_way)
    return profile.model_copy(
        update={"targets": (*(one for _, ways in by_way for one in _counts(profile, list(ways), threads)), *others)}
    )


def best_counts(predictions: Iterable[Prediction]) -> tuple[Prediction, ...]:
    """Of each way on a device the prediction with the fewest threads that no more of them beat by a tenth."""
    by_way = groupby(sorted(predictions, key=_way_and_threads), key=_predicted_way)
    return tuple(sorted((_fewest(list(ways)) for _, ways in by_way), key=lambda one: one.latency.ms))


def _fewest(ways: Sequence[Prediction]) -> Prediction:
    best = ways[0]
    for one in ways[1:]:
        best = one if one.latency.ms * WORTH < best.latency.ms else best
    return best


def _counts(profile: Profile, known: Sequence[Target], threads: int | None) -> list[Target]:
    wanted = {threads} if threads is not None else {one.threads for one in known} | {usual_threads(profile)}
    return [_with_threads(profile, known, count) for count in sorted(wanted)]


def _with_threads(profile: Profile, known: Sequence[Target], threads: int) -> Target:
    """What was measured with that many threads, else what the nearest count says of it."""
    near = min(known, key=lambda one: (abs(one.threads - threads), one.threads))
    if near.threads == threads:
        return near
    times = speed_up(profile, near.threads) / speed_up(profile, threads)
    level, group, kind = near.doubt
    return near.model_copy(
        update={
            "threads": threads,
            "us": {name: us * times for name, us in near.us.items()},
            "doubt": ((level**2 + MISSED**2) ** 0.5, group, kind),
            "measured": 0,
            "source": f"follows from {near.threads} threads and the clocks of the cores; {near.source}",
        }
    )


def _core_speeds(profile: Profile) -> Iterable[float]:
    for one in profile.clusters:
        speed = one.ghz * (IN_ORDER_WORTH if one.core.startswith(IN_ORDER) else 1.0)
        yield from [speed] * one.count


def _way(target: Target) -> tuple[str, str]:
    return target.runtime, target.precision


def _predicted_way(one: Prediction) -> tuple[str, str, str, str]:
    return one.device, one.runtime, one.precision, one.processor


def _way_and_threads(one: Prediction) -> tuple[tuple[str, str, str, str], int]:
    return _predicted_way(one), one.threads
