"""A long-lived child process that does one kind of work, and is replaced when it crashes or takes too long."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["Crashed", "Refused", "TimedOut", "Worker"]

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "3", "ABSL_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
# Imports of the slowest converter, on two busy cores.
_START_SECONDS = 300.0


class Crashed(Exception):
    """The child died; the message says how."""


class TimedOut(Exception):
    """The child had to be stopped."""


class Refused(Exception):
    """What the child called raised; the message is the error."""


class Worker:
    """Calls functions by name in a child, one after another.

    Args:
        log: file that receives what the child prints.
        first: call that each new child makes before it is of use: target and arguments.
    """

    def __init__(self, log: Path, first: tuple[str, tuple[Any, ...]] | None = None) -> None:
        self._log = log
        self._first = first
        self._process: Any = None
        self._pipe: Connection | None = None

    def call(self, target: str, *arguments: Any, seconds: float) -> Any:
        """Call `package.module:function`.

        A child that served other calls before may have died of those: the call is made once more in a new one.

        Raises:
            Refused: the function raised.
            Crashed: the child died, and so did a new one.
            TimedOut: it took longer than `seconds`.
        """
        fresh = self._process is None
        try:
            return self._call(target, arguments, seconds)
        except Crashed:
            if fresh:
                raise
            return self._call(target, arguments, seconds)

    def stop(self) -> None:
        """Kill the child and whatever it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        assert self._pipe is not None
        self._pipe.close()
        self._process = self._pipe = None

    def _call(self, target: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        if self._process is None:
            self._start()
        return self._ask(target, arguments, seconds)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, str(self._log)), daemon=True)
        self._process.start()
        theirs.close()
        if self._first is not None:
            target, arguments = self._first
            self._ask(target, arguments, _START_SECONDS)

    def _ask(self, target: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        assert self._pipe is not None
        try:
            self._pipe.send((target, arguments))
            if not self._pipe.poll(seconds):
                self.stop()
                raise TimedOut(f"did not finish within {seconds:g} s")
            good, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise Crashed(self._death()) from error
        if not good:
            raise Refused(answer)
        return answer

    def _death(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        self.stop()
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def _serve(pipe: Connection, log: str) -> None:
    os.setsid()  # the whole group can be killed at once
    os.environ.update(_QUIET)
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, sys.stdout.fileno())
    os.dup2(stream, sys.stderr.fileno())
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            target, arguments = pipe.recv()
        except EOFError:  # the parent has ended
            os._exit(0)
        pipe.send(_outcome(target, arguments))


def _outcome(target: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    module, _, function = target.partition(":")
    try:
        return True, getattr(importlib.import_module(module), function)(*arguments)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
