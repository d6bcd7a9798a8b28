import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pocketfit.errors import ConversionError, IsolationError, OutputError
from pocketfit.runtimes.isolate import call

JOBS = """
import errno, os, subprocess, sys, time
from pathlib import Path
from pocketfit.errors import ConversionError

class OwnError(ConversionError):
    def __init__(self):
        super().__init__("other", "own", "")

def echo(**arguments):
    print("chatter on stdout")
    return arguments

def refuse():
    raise ConversionError("litert", "op 'aten.frob' is unknown", "Leave it out.")

def refuse_in_an_own_way():
    raise OwnError()

def fail():
    print("about to fail")
    return {}["absent"]

def fill_disk():
    raise OSError(errno.ENOSPC, "No space left on device", "model.bin")

def abort():
    print("last words")
    os.abort()

def leave():
    sys.exit(7)

def vanish():
    os._exit(9)

def hang():
    time.sleep(600)

def start_and_hang(pid_file):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(pid_file).write_text(str(child.pid))
    time.sleep(600)

def hog():
    held = [bytearray(b"x" * 10_000_000) for _ in range(60)]
    time.sleep(600)

def unspeakable():
    return {1, 2}

def environment():
    return dict(os.environ)

def tell_pid_and_hang(pid_file):
    Path(pid_file + ".partial").write_text(str(os.getpid()))
    os.replace(pid_file + ".partial", pid_file)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "isolated_jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def do(name: str, *, timeout_s: float = 60, **arguments: object) -> object:
    return call(f"isolated_jobs:{name}", arguments, timeout_s=timeout_s)


def test_arguments_and_result_survive_the_trip() -> None:
    values = {"number": 0.1, "text": "é\n", "nothing": None, "nested": {"list": [1, [True]]}, "endless": float("inf")}
    assert do("echo", **values) == values


def test_a_path_arrives_as_a_string(tmp_path: Path) -> None:
    assert do("echo", path=tmp_path) == {"path": str(tmp_path)}


def test_what_the_child_prints_goes_to_the_log_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.txt"
    log.write_text("earlier\n")
    call("isolated_jobs:echo", {}, timeout_s=60, log=log)
    assert log.read_text() == "earlier\nchatter on stdout\n"
    assert capfd.readouterr() == ("", "")


def test_a_pocketfit_error_keeps_its_type_and_its_parts() -> None:
    with pytest.raises(ConversionError) as caught:
        do("refuse")
    assert (caught.value.runtime, caught.value.message) == ("litert", "op 'aten.frob' is unknown")
    assert caught.value.hint == "Leave it out."


def test_a_subclass_unknown_here_becomes_its_nearest_known_base() -> None:
    with pytest.raises(ConversionError, match="other: own"):
        do("refuse_in_an_own_way")


def test_any_other_exception_is_named_with_the_end_of_the_log() -> None:
    with pytest.raises(IsolationError, match=r"(?s)isolated_jobs:fail raised KeyError: 'absent'.*KeyError: 'absent'"):
        do("fail")


def test_earlier_content_of_the_log_is_not_taken_for_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("from another call\n")
    with pytest.raises(IsolationError) as caught:
        call("isolated_jobs:fail", {}, timeout_s=60, log=log)
    assert "another call" not in str(caught.value)


def test_a_full_disk_is_said_to_be_one() -> None:
    with pytest.raises(OutputError, match=r"disk is full: model\.bin"):
        do("fill_disk")


def test_a_crash_names_the_signal_and_the_last_words() -> None:
    with pytest.raises(IsolationError, match=r"(?s)killed by SIGABRT \(abort\).*last words.*Fatal Python error"):
        do("abort")


@pytest.mark.parametrize(("job", "words"), [("leave", "raised SystemExit: 7"), ("vanish", "exit code 9 before")])
def test_leaving_early_is_an_error(job: str, words: str) -> None:
    with pytest.raises(IsolationError, match=words):
        do(job)


def test_a_result_that_is_not_json_is_an_error() -> None:
    with pytest.raises(IsolationError, match="TypeError"):
        do("unspeakable")


def test_a_missing_function_is_an_error() -> None:
    with pytest.raises(IsolationError, match="AttributeError"):
        do("absent")


def test_a_hang_is_stopped() -> None:
    with pytest.raises(IsolationError, match="did not finish within 1 s"):
        do("hang", timeout_s=1)


def test_what_the_child_started_is_stopped_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(IsolationError):
        do("start_and_hang", timeout_s=2, pid_file=pid_file)
    assert_ends(int(pid_file.read_text()))


def test_too_much_memory_is_stopped_with_both_figures() -> None:
    with pytest.raises(IsolationError, match=r"took \d+ MB of memory, more than the 200 MB allowed"):
        call("isolated_jobs:hog", {}, timeout_s=60, memory_bytes=200_000_000)


def test_the_parent_is_called_back_while_it_waits() -> None:
    calls: list[None] = []
    with pytest.raises(IsolationError):
        call("isolated_jobs:hang", {}, timeout_s=1, on_poll=lambda: calls.append(None))
    assert calls


def test_an_error_in_the_callback_stops_the_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt() -> None:
        if pid_file.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call("isolated_jobs:tell_pid_and_hang", {"pid_file": pid_file}, timeout_s=60, on_poll=interrupt)
    assert_ends(int(pid_file.read_text()))


def test_libraries_are_quiet_and_threads_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = do("environment")
    assert isinstance(environment, dict)
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert "OMP_NUM_THREADS" not in environment


def test_a_file_in_the_working_folder_does_not_shadow_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "json.py").write_text("raise RuntimeError('the wrong json')")
    monkeypatch.chdir(folder)
    assert do("echo", a=1) == {"a": 1}


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_dies_with_its_parent(tmp_path: Path, death: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "from pocketfit.runtimes.isolate import call\n"
        f"call('isolated_jobs:tell_pid_and_hang', {{'pid_file': {str(pid_file)!r}}}, timeout_s=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(pid_file.exists)
    child = int(pid_file.read_text())
    os.kill(parent.pid, death)
    parent.wait()
    assert_ends(child)


def assert_ends(pid: int) -> None:
    wait_until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(happened: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
