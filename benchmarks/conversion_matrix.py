"""Every architecture × every runtime × float32 and INT8: does it convert, and does it answer as it must?

    networks ─prepare→ model, plans, expected answers ─each runtime in its own process→ rows → JSON → docs

`python -m benchmarks conversion_matrix` does what is not stored yet, writes all rows and refreshes the table in the
docs; `python -m benchmarks.conversion_matrix --models 'mobile*' --runtimes ncnn,mnn` tries a part and prints it.
Results are stored by all that they depend on: after a change to one converter, its cells alone are done again.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import queue
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import conversion_matrix_table
from benchmarks.architectures import ARCHITECTURES, Architecture
from benchmarks.matrix.keys import cell_key, prepared_key
from benchmarks.matrix.prepare import Prepared
from benchmarks.matrix.worker import Crashed, Refused, TimedOut, Worker
from benchmarks.real_data import cache_folder
from benchmarks.results import Row
from pocketfit.runtimes import BUILT_IN, get_runtime
from pocketfit.types import Precision

RUNTIMES = tuple(BUILT_IN)
PRECISIONS = (str(Precision.FLOAT32), str(Precision.INT8))
# For a cell; the slowest that succeeds takes a fraction of it.
SECONDS = 180.0
AT_ONCE = 2

_FIGURES = ("cosine", "agreement", "seconds", "peak_mb")


def run() -> Iterator[Row]:
    """One row per network, runtime and precision, in the order of the table."""
    rows: list[Row] = []
    for row in matrix(ARCHITECTURES, RUNTIMES):
        rows.append(row)
        yield row
    conversion_matrix_table.write(rows)


def matrix(architectures: Sequence[Architecture], runtimes: Sequence[str]) -> Iterator[Row]:
    """Rows of these networks in these runtimes, as they are done."""
    work = _Work(runtimes)
    threads = [threading.Thread(target=work.go_on, daemon=True) for _ in range(AT_ONCE)]
    work.add(architectures)
    try:
        for thread in threads:
            thread.start()
        for _ in range(len(architectures) * len(runtimes)):
            yield from work.done.get()
    finally:
        work.stop()


@dataclass(frozen=True)
class _Job:
    """Prepare a network (no runtime), or convert it for a runtime."""

    subject: Architecture
    runtime: str = ""

    @property
    def worker(self) -> str:
        return self.runtime or "prepare"


class _Work:
    """Jobs that wait, and the workers that do them: one process for preparing and one for each runtime."""

    def __init__(self, runtimes: Sequence[str]) -> None:
        self.runtimes = runtimes
        self.done: queue.Queue[list[Row]] = queue.Queue()
        self._waiting: list[_Job] = []
        self._busy: set[str] = set()
        self._changed = threading.Condition()
        self._stopped = False
        logs = _folder() / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._workers = {"prepare": Worker(logs / "prepare.txt")}
        for name in runtimes:
            first = ("benchmarks.matrix.cell:warm_up", (name,))
            self._workers[name] = Worker(logs / f"{name}.txt", first)

    def add(self, architectures: Sequence[Architecture]) -> None:
        """Let these wait to be prepared; converting follows."""
        with self._changed:
            self._waiting += [_Job(one) for one in architectures]

    def go_on(self) -> None:
        """Do jobs until told to stop."""
        while (job := self._next()) is not None:
            try:
                following = self._convert(job) if job.runtime else self._prepare(job)
            except Exception as error:  # a fault of the benchmark itself: told as such, and the rest goes on
                reason = f"the benchmark failed: {type(error).__name__}: {error}"
                following = [] if job.runtime else self._give_up(job.subject, "failed", reason)
                if job.runtime:
                    self.done.put(_no_rows(job.subject, job.runtime, "failed", reason))
            with self._changed:
                self._busy.discard(job.worker)
                # What is prepared is converted before more is prepared, in the order of the table.
                self._waiting = sorted(self._waiting + following, key=lambda job: not job.runtime)
                self._changed.notify_all()

    def stop(self) -> None:
        """End the threads and their processes."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for worker in self._workers.values():
            worker.stop()

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._stopped:
                for job in self._waiting:
                    if job.worker not in self._busy:
                        self._waiting.remove(job)
                        self._busy.add(job.worker)
                        return job
                self._changed.wait()
        return None

    def _prepare(self, job: _Job) -> list[_Job]:
        folder = _prepared_folder(job.subject)
        if not (folder / "prepared.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                self._workers["prepare"].call(
                    "benchmarks.matrix.prepare:prepare", job.subject.name, list(RUNTIMES), folder, seconds=SECONDS
                )
            except (Crashed, Refused, TimedOut) as error:
                return self._give_up(job.subject, _status(error), f"not prepared: {error}")
        return [_Job(job.subject, runtime) for runtime in self.runtimes]

    def _give_up(self, subject: Architecture, status: str, reason: str) -> list[_Job]:
        for runtime in self.runtimes:
            self.done.put(_no_rows(subject, runtime, status, reason))
        return []

    def _convert(self, job: _Job) -> list[_Job]:
        self.done.put([self._cell(job, precision) for precision in PRECISIONS])
        return []

    def _cell(self, job: _Job, precision: str) -> Row:
        folder = _prepared_folder(job.subject)
        key = cell_key(folder.name, get_runtime(job.runtime))
        stored = folder / f"{job.runtime}-{precision}-{key}.json"
        about: Row = {"model": job.subject.name} | Prepared(folder).about()
        if not stored.exists():
            try:
                row = self._workers[job.runtime].call(
                    "benchmarks.matrix.cell:convert_cell", job.runtime, str(folder), precision, seconds=SECONDS
                )
            except (Crashed, Refused, TimedOut) as error:  # not stored: it may go better next time
                return about | _no_row(job.runtime, precision, _status(error), str(error))
            stored.write_text(json.dumps(row))
        known: Row = json.loads(stored.read_text())
        return about | known


def _no_rows(subject: Architecture, runtime: str, status: str, reason: str) -> list[Row]:
    """Of a network that no converter was given."""
    about = {"model": subject.name, "origin": subject.origin, "input": list(subject.input_shape), "stage": "prepare"}
    return [about | _no_row(runtime, precision, status, reason) for precision in PRECISIONS]


def _no_row(runtime: str, precision: str, status: str, reason: str) -> Row:
    return {"runtime": runtime, "precision": precision, "status": status, "reason": reason}


def _status(error: Exception) -> str:
    return {Crashed: "crashed", TimedOut: "timed out"}.get(type(error), "failed")


def _folder() -> Path:
    return cache_folder() / "conversion-matrix"


def _prepared_folder(subject: Architecture) -> Path:
    return _folder() / subject.name.partition(" ")[0] / prepared_key(subject)


def _matching(patterns: str, architectures: Sequence[Architecture]) -> list[Architecture]:
    return [one for one in architectures if any(fnmatch.fnmatch(one.name, like) for like in patterns.split(","))]


def main() -> None:
    """Try a part, and print it; the JSON and the docs stay as they are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversion_matrix", description=__doc__)
    parser.add_argument("--models", default="*", help="names or patterns, joined by commas")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), help=f"of {', '.join(RUNTIMES)}")
    given = parser.parse_args()
    for row in matrix(_matching(given.models, ARCHITECTURES), given.runtimes.split(",")):
        print(_line(row), flush=True)


def _line(row: Row) -> str:
    figures = (f"{name} {row[name]:.6g}" for name in _FIGURES if row.get(name) is not None)
    line = f"{row['model']:32} {row['runtime']:12} {row['precision']:8} {row['status']:10} {' '.join(figures)}"
    if row["status"] in ("agrees", "converted"):
        return line
    return f"{line}\n    {row.get('stage', '-')}: op {row.get('op')}: {row.get('reason')}"


if __name__ == "__main__":
    main()
