"""Work in processes of this host."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pocketfit.cluster import ATTEMPTS
from pocketfit.runtimes.isolate import die_with
from pocketfit.search.executors.executor import Finished, Work

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """Processes that stay, so that each imports torch once; one that dies is replaced and its job begun again.

    Args:
        work: what is done for each job.
        workers: number of processes.
    """

    remote = False

    def __init__(self, work: Work, workers: int) -> None:
        self.work = work
        self.slots = workers
        self.jobs: dict[int, tuple[object, Path]] = {}
        self.attempts: dict[int, int] = {}
        self.running: dict[Future[Any], tuple[int, ProcessPoolExecutor]] = {}
        self.pool = self._pool()

    def submit(self, number: int, job: object, folder: Path) -> None:
        """Begin a job; see `Executor`."""
        self.jobs[number] = (job, folder)
        self._begin(number)

    def wait(self, timeout_s: float | None) -> list[Finished]:
        """Jobs that have ended; see `Executor`."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            done, _ = wait(self.running, left, FIRST_COMPLETED)
            found = [finished for one in done if (finished := self._finished(one)) is not None]
            if found or not done:
                return found

    def close(self) -> None:
        """End all work; see `Executor`."""
        if not self.running:
            self.pool.shutdown(wait=True)
            return
        processes = [psutil.Process(pid) for pid in self._pids() if psutil.pid_exists(pid)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()  # what it started ends with it
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, number: int) -> None:
        self.attempts[number] = self.attempts.get(number, 0) + 1
        try:
            begun = self.pool.submit(self.work, *self.jobs[number])
        except BrokenProcessPool:
            self._replace(self.pool)
            begun = self.pool.submit(self.work, *self.jobs[number])
        self.running[begun] = (number, self.pool)

    def _finished(self, one: Future[Any]) -> Finished | None:
        """What came of a job; None where it was begun again."""
        number, pool = self.running.pop(one)
        if not isinstance(one.exception(), BrokenProcessPool):
            return Finished(self._forget(number), one.result())
        # A process died and took the pool with it: nobody knows whose job it was, so all are begun again.
        self._replace(pool)
        if self.attempts[number] >= ATTEMPTS:
            return Finished(self._forget(number), lost="its process died")
        self._begin(number)
        return None

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Go on with another pool, once for all jobs of a broken one."""
        if broken is self.pool:
            broken.shutdown(wait=False, cancel_futures=True)
            self.pool = self._pool()

    def _forget(self, number: int) -> int:
        self.jobs.pop(number)
        self.attempts.pop(number)
        return number

    def _pids(self) -> list[int]:
        return list(self.pool._processes or {})

    def _pool(self) -> ProcessPoolExecutor:
        # Not forked: torch's threads do not survive that.
        context = multiprocessing.get_context("spawn")
        threads = max(1, (os.cpu_count() or 1) // self.slots)
        return ProcessPoolExecutor(self.slots, context, initializer=_begin_process, initargs=(os.getpid(), threads))


def _begin_process(parent: int, threads: int) -> None:
    import torch

    warnings.simplefilter("ignore")  # of libraries about each other
    die_with(parent)
    torch.set_num_threads(threads)
