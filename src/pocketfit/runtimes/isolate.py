"""Run a function in a child process with a time and a memory limit.

    call("package.module:function", {"a": 1}, timeout_s=60)
      └ python -m pocketfit.runtimes.isolate    arguments.json → function(**arguments) → outcome.json, chatter → log

Converters and inference engines crash, hang, swallow memory and print; in a child each of these becomes a typed error.
Arguments and result are JSON, and they travel in files: stdout belongs to the libraries.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pocketfit import errors
from pocketfit.errors import IsolationError, OutputError, PocketfitError

__all__ = ["call", "die_with"]

POLL_SECONDS = 0.2
LOG_LINES = 8
LOG_COLUMNS = 240
PR_SET_PDEATHSIG = 1
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "3", "ABSL_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}


def call(
    target: str,
    arguments: Mapping[str, object],
    *,
    timeout_s: float,
    memory_bytes: int | None = None,
    log: Path | None = None,
    on_poll: Callable[[], None] | None = None,
) -> Any:
    """Call a function in a fresh Python process and return its result.

    Args:
        target: "package.module:function", importable in the child.
        arguments: keyword arguments, JSON values; paths are turned into strings.
        timeout_s: wall-clock seconds after which the child and its own children are killed.
        memory_bytes: resident memory of the child and its own children above which they are killed; None for no limit.
        log: file to which the child's stdout and stderr are appended; None keeps them for the error message only.
        on_poll: called in this process about five times a second while the child runs.

    Returns:
        What the function returned, after a trip through JSON.

    Raises:
        PocketfitError: of the same class and with the same arguments as in the child.
        OutputError: the child found the disk full.
        IsolationError: the child raised anything else, crashed, hung or took too much memory.
    """
    with tempfile.TemporaryDirectory(prefix="pocketfit-", ignore_cleanup_errors=True) as folder:
        exchange = Path(folder)
        log = log or exchange / "log.txt"
        log_start = log.stat().st_size if log.exists() else 0
        (exchange / "arguments.json").write_text(json.dumps(arguments, default=os.fspath))
        process = _start(target, exchange, log)
        try:
            stopped = _watch(process, timeout_s, memory_bytes, on_poll)
        finally:
            _kill_tree(process)
        if not stopped and (exchange / "outcome.json").exists():
            return _open_outcome(target, json.loads((exchange / "outcome.json").read_text()), log, log_start)
        raise IsolationError(f"{target} {stopped or _death(process.returncode)}{_last_words(log, log_start)}")


def _start(target: str, exchange: Path, log: Path) -> subprocess.Popen[bytes]:
    # -P: a file named like a library in the user's folder must not be imported in its place.
    command = [sys.executable, "-P", "-m", "pocketfit.runtimes.isolate", target, str(exchange), str(os.getpid())]
    with log.open("ab") as stream:
        # A session of its own: Ctrl-C reaches this process only, and the child's whole group can be killed at once.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=QUIET | os.environ,
            start_new_session=True,
        )


def _watch(
    process: subprocess.Popen[bytes], timeout_s: float, memory_bytes: int | None, on_poll: Callable[[], None] | None
) -> str:
    """Wait for the child; return why it has to be stopped, or "" when it ended by itself."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            process.wait(min(POLL_SECONDS, max(deadline - time.monotonic(), 0.0)))
            return ""
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                return f"did not finish within {timeout_s:g} s and was stopped"
        if memory_bytes is not None and (used := _tree_rss(process.pid)) > memory_bytes:
            return f"took {used / 1e6:.0f} MB of memory, more than the {memory_bytes / 1e6:.0f} MB allowed"
        if on_poll is not None:
            on_poll()


def _tree_rss(pid: int) -> int:
    import psutil  # it ships no types

    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill the child and whatever it started; harmless when all have ended."""
    if sys.platform == "win32":
        process.kill()
    else:
        # macOS answers PermissionError for a group that holds only an ended process.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _open_outcome(target: str, outcome: dict[str, Any], log: Path, log_start: int) -> Any:
    """Return the result or raise the error that the child wrote down."""
    if "result" in outcome:
        return outcome["result"]
    error = outcome["error"]
    with contextlib.suppress(TypeError):  # a third party's subclass may take other arguments than its base
        if error["pocketfit"]:
            raise getattr(errors, error["pocketfit"])(*error["args"])
    raise IsolationError(f"{target} raised {error['type']}: {error['message']}{_last_words(log, log_start)}")


def _death(returncode: int) -> str:
    """Put a return code without an outcome into words."""
    if returncode >= 0:
        return f"ended with exit code {returncode} before giving a result"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    meaning = {
        "SIGSEGV": " (segmentation fault)",
        "SIGABRT": " (abort)",
        "SIGILL": " (an instruction this processor does not have)",
        "SIGKILL": " (most often the system ran out of memory)",
    }
    return f"was killed by {name}{meaning.get(name, '')}"


def _last_words(log: Path, start: int) -> str:
    """Give the end of what this child printed, ready to be appended to a message."""
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(start)
        lines = [line.rstrip()[:LOG_COLUMNS] for line in stream.read().decode(errors="replace").splitlines()]
        lines = [line for line in lines if line.strip("^~ ")]  # tracebacks underline with these
        # After a crash Python lists every frame and every extension module: the first frames are enough.
        fatal = next((i for i, line in enumerate(lines) if line.startswith("Fatal Python error")), len(lines))
        if lines:
            return "\nIts last lines:\n" + "\n".join(f"  {line}" for line in lines[: fatal + 4][-LOG_LINES:])
    return ""


def _main(target: str, exchange: Path, parent: int) -> NoReturn:
    die_with(parent)
    faulthandler.enable()
    outcome = _run(target, exchange / "arguments.json")
    partial = exchange / "outcome.partial"
    partial.write_text(outcome)
    partial.replace(exchange / "outcome.json")
    sys.stdout.flush()
    sys.stderr.flush()
    # The result is safe: skip the destructors of native libraries, some of which crash or wait for their threads.
    os._exit(0)


def _run(target: str, arguments: Path) -> str:
    """Call the function; return the outcome as JSON text, whatever happened."""
    try:
        module, _, function = target.partition(":")
        result = getattr(importlib.import_module(module), function)(**json.loads(arguments.read_text()))
        return json.dumps({"result": result}, default=os.fspath)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return json.dumps({"error": _describe(error)}, default=str)


def _describe(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"the disk is full: {error.filename or error}. Free some space and run the same command again"
        error = OutputError(message)
    known = next((kind for kind in type(error).__mro__ if kind.__module__ == PocketfitError.__module__), None)
    return {
        "pocketfit": known.__name__ if known else None,
        "args": list(error.args),
        "type": type(error).__name__,
        "message": str(error),
    }


def die_with(parent: int) -> None:
    """Make sure that this process does not outlive its parent, which may be killed without a chance to clean up.

    Linux sends the signal itself, even while native code holds the interpreter; it does so only for a parent that dies
    after the request, hence the look at the parent afterwards. Elsewhere a thread has to keep looking.
    """
    if sys.platform == "linux":
        # The signal is bound to the parent's calling thread, which waits in `call` as long as this process lives.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_exit_when_orphaned, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _exit_when_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
