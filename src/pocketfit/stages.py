"""The stages of a run: found in the store or built, timed, and shown to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pocketfit.store import Store
from pocketfit.types import StageTime

__all__ = ["Nobody", "Stage", "Stages", "Watcher", "timed"]


class Watcher(Protocol):
    """Somebody who watches a run; every method may be called from several threads."""

    def start(self, stage: str, total: int | None) -> None:
        """A stage begins; `total` samples are to be done, None when that is unknown."""
        ...

    def advance(self, stage: str, done: int) -> None:
        """So many samples of the stage are done in all."""
        ...

    def finish(self, stage: str, seconds: float, reused: bool) -> None:
        """A stage ended, or its stored result was found."""
        ...

    def say(self, sentence: str) -> None:
        """Something the user should know before the work goes on."""
        ...


class Nobody:
    """A watcher who looks away."""

    def start(self, stage: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, stage: str, done: int) -> None:
        """Nothing."""

    def finish(self, stage: str, seconds: float, reused: bool) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""


class Stage:
    """What a running stage reports its progress to."""

    def __init__(self, watcher: Watcher, name: str) -> None:
        self.watcher = watcher
        self.name = name
        self.done = 0

    def add(self, samples: int) -> None:
        """So many samples more are done."""
        self.set(self.done + samples)

    def set(self, samples: int) -> None:
        """So many samples are done in all."""
        self.done = samples
        self.watcher.advance(self.name, samples)

    def report(self, done: int, total: int) -> None:
        """So many of so many samples are done, where the total was not known before."""
        self.watcher.start(self.name, total)
        self.set(done)


@contextmanager
def timed(
    watcher: Watcher,
    name: str,
    total: int | None = None,
    reused: bool = False,
    times: list[StageTime] | None = None,
) -> Iterator[Stage]:
    """Time what is done inside, and tell the watcher.

    Args:
        watcher: told of the stage.
        name: as the watcher is told.
        total: number of samples to be done, where that is known.
        reused: whether its result was found, so that nothing begins.
        times: gets the stage's time; None where nobody asks for it.
    """
    start = time.perf_counter()
    if not reused:
        watcher.start(name, total)
    yield Stage(watcher, name)
    seconds = time.perf_counter() - start
    if times is not None:
        times.append(StageTime(name, seconds, reused))
    watcher.finish(name, seconds, reused)


class Stages:
    """Runs stages and remembers how long each took.

    Args:
        store: keeps the results.
        watcher: told of every stage.
    """

    def __init__(self, store: Store, watcher: Watcher) -> None:
        self.store = store
        self.watcher = watcher
        self.times: list[StageTime] = []

    def stored(
        self,
        name: str,
        key: str,
        build: Callable[[Path, Stage], None],
        total: int | None = None,
        kind: str | None = None,
    ) -> Path:
        """The folder of a stage's result, built first where it is missing.

        Args:
            name: as the watcher is told.
            key: from `store.key_of`.
            build: writes the result into an empty folder and reports its progress.
            total: number of samples to be done, where that is known.
            kind: folder of the store, shared by stages that differ in their key alone; the name where None.
        """
        reused = self.store.find(kind or name, key) is not None
        with self.timed(name, total, reused) as stage:
            return self.store.get(kind or name, key, lambda out: build(out, stage))

    @contextmanager
    def timed(self, name: str, total: int | None = None, reused: bool = False) -> Iterator[Stage]:
        """Time what is done inside, and tell the watcher."""
        with timed(self.watcher, name, total, reused, self.times) as stage:
            yield stage
