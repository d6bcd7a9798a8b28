"""The search itself: ask, hand out, take back, tell; until the time, the trials or the candidates are used up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketfit.search.executors import Executor, Finished
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.space import Point
from pocketfit.search.study import Study

__all__ = ["Limits", "run_loop"]


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Args:
        trials: candidates in all, those of earlier runs included.
        timeout_s: seconds of this run; None for no limit. What is running then is dropped.
    """

    trials: int
    timeout_s: float | None = None


def run_loop(
    study: Study,
    executor: Executor,
    limits: Limits,
    job: Callable[[Point], tuple[object, Path]],
    outcome: Callable[[Any], Outcome],
    told: Callable[[Outcome], None],
) -> None:
    """Work until a limit is reached.

    Args:
        study: proposes and remembers.
        executor: works.
        limits: when to end.
        job: of a candidate, and the folder with its files.
        outcome: of what a worker returned.
        told: called with every outcome once it is kept, while other candidates are worked on.
    """
    _Loop(study, executor, limits, job, outcome, told).run()


@dataclass
class _Loop:
    study: Study
    executor: Executor
    limits: Limits
    job: Callable[[Point], tuple[object, Path]]
    outcome: Callable[[Any], Outcome]
    told: Callable[[Outcome], None]

    def run(self) -> None:
        end = None if self.limits.timeout_s is None else time.monotonic() + self.limits.timeout_s
        asked: dict[int, Point] = {}
        try:
            while self._fill(asked) and (end is None or time.monotonic() < end):
                finished = self.executor.wait(None if end is None else max(0.0, end - time.monotonic()))
                outcomes = [self._kept(one, asked.pop(one.number)) for one in finished]
                self._fill(asked)  # nobody waits while the news is told
                for one in outcomes:
                    self.told(one)
        finally:
            for number in asked:
                self.study.drop(number)

    def _fill(self, asked: dict[int, Point]) -> bool:
        """Keep every worker busy; return whether anything is running."""
        while len(asked) < self.executor.slots and len(self.study.known) + len(asked) < self.limits.trials:
            proposal = self.study.ask()
            if proposal is None:
                break
            number, point = proposal
            asked[number] = point
            self.executor.submit(number, *self.job(point))
        return bool(asked)

    def _kept(self, finished: Finished, point: Point) -> Outcome:
        lost = Outcome(point, State.FAILED, f"it was lost several times: {finished.lost}")
        result = lost if finished.lost else self.outcome(finished.result)
        self.study.tell(finished.number, result)
        return result
