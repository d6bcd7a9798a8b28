"""What a search hands its work to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Executor", "Finished", "Work"]

# A function that can be imported wherever it runs, given a job and the folder with the files it needs.
Work = Callable[[Any, Path], Any]


@dataclass(frozen=True)
class Finished:
    """A job that came to its end.

    Args:
        number: of the job.
        result: what the work returned; None where it was lost.
        lost: why there is no result; empty where there is one.
    """

    number: int
    result: Any = None
    lost: str = ""


class Executor(Protocol):
    """Runs jobs side by side, in whatever processes it has."""

    slots: int
    """How many jobs run at once."""

    remote: bool
    """Whether a worker may be on another host, so that it sees no file of this one."""

    def submit(self, number: int, job: object, folder: Path) -> None:
        """Begin a job.

        Args:
            number: that `wait` tells it by.
            job: can be pickled.
            folder: files that the work reads; on another host it is a copy.
        """
        ...

    def wait(self, timeout_s: float | None) -> list[Finished]:
        """Jobs that have ended since the last call, at least one; none where the time is up first."""
        ...

    def close(self) -> None:
        """End all work at once, finished or not."""
        ...
