"""One interface for every place that can be measured on, and what is measured there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pocketfit.errors import OptionError
from pocketfit.runtimes.batch import MOST, is_dynamic
from pocketfit.types import Artifact

__all__ = ["Condition", "Cores", "Measured", "Place", "Round", "measure_at"]


@dataclass(frozen=True)
class Cores:
    """Cores that share a clock: how many, the highest clock and the one of now, in megahertz."""

    count: int
    max_mhz: int
    now_mhz: int | None


@dataclass(frozen=True)
class Condition:
    """A device at one time; None for what it does not tell.

    Args:
        clusters: of the CPU, in the device's order.
        thermal_status: 0, none, to 6, shutdown, as Android counts.
        skin_c: temperature of the skin.
        battery_percent: charge.
        battery_c: temperature of the battery.
        charging: whether power is plugged in.
    """

    clusters: tuple[Cores, ...] = ()
    thermal_status: int | None = None
    skin_c: float | None = None
    battery_percent: int | None = None
    battery_c: float | None = None
    charging: bool | None = None


@dataclass(frozen=True)
class Round:
    """Inferences timed at one go: the "median" or "mean" of so many, whichever the tool tells."""

    ms: float
    runs: int
    statistic: str


class Place(Protocol):
    """Where artifacts are run and timed."""

    @property
    def where(self) -> str:
        """The device in words."""
        ...

    def condition(self) -> Condition:
        """What the device tells of itself now."""
        ...

    def run(self, artifact: Artifact, *, threads: int, runs: int, batch: int = 1) -> Round:
        """Run an artifact so many times, on so many samples at once, and time it."""
        ...


@dataclass(frozen=True)
class Measured:
    """An artifact measured at one place.

    Args:
        runtime: of the artifact.
        precision: likewise.
        threads: that it ran with.
        batch: samples of each inference.
        where: the device in words.
        before: its condition before the first round.
        after: behind the last.
        rounds: each with the seconds since the beginning at which it was over; at least one.
        device: what computed: the CPU, or the accelerator that it was asked for.
    """

    runtime: str
    precision: str
    threads: int
    batch: int
    where: str
    before: Condition
    after: Condition
    rounds: tuple[tuple[float, Round], ...]
    device: str = "cpu"

    @property
    def first(self) -> Round:
        """The device as it was found."""
        return self.rounds[0][1]

    @property
    def last(self) -> Round:
        """The device after all rounds."""
        return self.rounds[-1][1]


def measure_at(
    place: Place,
    artifact: Artifact,
    *,
    threads: int,
    runs: int = 50,
    batch: int = 1,
    seconds: float = 0.0,
    watch: Callable[[float, Round], None] | None = None,
) -> Measured:
    """Measure an artifact in rounds.

    Args:
        place: where.
        artifact: what.
        threads: handed to the runtime.
        runs: inferences of a round.
        batch: samples of an inference.
        seconds: go on with rounds until so much time is over; 0 for one round.
        watch: told of each round.

    Raises:
        OptionError: the artifact takes no such batch.
    """
    _check_batch(artifact, batch)
    rounds: list[tuple[float, Round]] = []
    before, start = place.condition(), time.monotonic()
    while not rounds or rounds[-1][0] < seconds:
        done = place.run(artifact, threads=threads, runs=runs, batch=batch)
        rounds.append((time.monotonic() - start, done))
        if watch is not None:
            watch(*rounds[-1])
    return Measured(
        artifact.runtime, artifact.precision, threads, batch, place.where, before, place.condition(), tuple(rounds)
    )


def _check_batch(artifact: Artifact, batch: int) -> None:
    if batch > 1 and not is_dynamic(artifact.options):
        raise OptionError(
            f"--batch {batch}: it takes one sample at a time. `pocketfit fit --batch dynamic` makes files that take "
            "more, in the runtimes that have them."
        )
    if batch > MOST:
        raise OptionError(f"--batch {batch} is more than files with a dynamic batch are made for: 1..{MOST}.")
