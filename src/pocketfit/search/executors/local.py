"""Work in processes of this host."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pocketfit.runtimes.isolate import die_with
from pocketfit.search.executors.executor import ATTEMPTS, Finished, Work

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
        self.running: dict[Future[Any], int] = {}
        self.pool = self._pool()

    def submit(self, number: int, job: object, folder: Path) -> None:
        """Begin a job; see `Executor`."""
        self.jobs[number] = (job, folder)
        self._begin(number)

    def wait(self, timeout_s: float | None) -> list[Finished]:
        """Jobs that have ended; see `Executor`."""
        done, _ = wait(self.running, timeout_s, FIRST_COMPLETED)
        if any(isinstance(one.exception(), BrokenProcessPool) for one in done):
            return self._begin_again()
        return [Finished(self._forget(self.running.pop(one)), one.result()) for one in done]

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
        job, folder = self.jobs[number]
        self.running[self.pool.submit(self.work, job, folder)] = number

    def _begin_again(self) -> list[Finished]:
        """A process died and took the pool with it: nobody knows whose job it was, so all are begun again."""
        numbers = list(self.running.values())
        self.running.clear()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.pool = self._pool()
        lost = [number for number in numbers if self.attempts[number] >= ATTEMPTS]
        for number in numbers:
            if number not in lost:
                self._begin(number)
        return [Finished(self._forget(number), lost="its process died") for number in lost]

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
