from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pocketfit.search.executors import Executor, Finished, LocalExecutor
from pocketfit.search.executors.packing import pack, unpack, unpacked

# Far longer than a process takes to start on a busy machine.
PATIENCE_S = 120


def work(job: object, folder: Path) -> object:
    return job, (folder / "name.txt").read_text(), os.getpid()


def die_once(job: object, folder: Path) -> object:
    """The first process that gets here is killed."""
    try:
        (folder / "died").touch(exist_ok=False)
    except FileExistsError:
        return job
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def die(job: object, folder: Path) -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def wait_for_ever(job: object, folder: Path) -> None:
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(10 * PATIENCE_S)


def all_of(executor: Executor, count: int) -> dict[int, Finished]:
    found: dict[int, Finished] = {}
    while len(found) < count:
        news = executor.wait(PATIENCE_S)
        assert news, "nothing came"
        found |= {one.number: one for one in news}
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "name.txt").write_text("a file")
    return tmp_path


def test_jobs_run_in_other_processes_with_their_files(folder: Path) -> None:
    executor = LocalExecutor(work, 2)
    try:
        for number in range(3):
            executor.submit(number, f"job {number}", folder)
        found = all_of(executor, 3)
    finally:
        executor.close()

    assert [found[number].result[:2] for number in range(3)] == [(f"job {n}", "a file") for n in range(3)]
    assert os.getpid() not in {one.result[2] for one in found.values()}


def test_a_process_that_dies_loses_nothing(folder: Path) -> None:
    executor = LocalExecutor(die_once, 1)
    try:
        executor.submit(1, "job", folder)
        assert all_of(executor, 1)[1] == Finished(1, "job")
    finally:
        executor.close()


def test_a_job_that_kills_every_process_is_given_up(folder: Path) -> None:
    executor = LocalExecutor(die, 1)
    try:
        executor.submit(1, "job", folder)
        assert all_of(executor, 1)[1].lost == "its process died"
    finally:
        executor.close()


def test_closing_ends_what_runs(folder: Path) -> None:
    import psutil

    executor = LocalExecutor(wait_for_ever, 1)
    executor.submit(1, "job", folder)
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert executor.wait(0.0) == []

    executor.close()

    assert not psutil.pid_exists(int((folder / "pid").read_text()))


def test_a_folder_as_bytes_and_back(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "more.bin").write_bytes(bytes(range(256)))
    other = tmp_path_factory.mktemp("other")

    content = pack(folder)
    unpack(content, other)

    assert pack(other) == content
    assert (other / "inner" / "more.bin").read_bytes() == bytes(range(256))
    assert unpacked(content) == unpacked(content)
    assert (unpacked(content) / "name.txt").read_text() == "a file"
