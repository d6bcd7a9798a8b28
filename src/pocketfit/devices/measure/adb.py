"""A phone over adb as a place to measure: files are pushed, a tool times them there, and nothing is left behind."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from pocketfit.devices.measure.android import condition_of, name_of
from pocketfit.devices.measure.place import Condition, Round
from pocketfit.devices.measure.tools import tool_for
from pocketfit.errors import OptionError, PocketfitError, RuntimeMissing
from pocketfit.types import Artifact

if TYPE_CHECKING:
    from adbutils import AdbDevice

__all__ = ["FOLDER", "OverAdb"]

# Where shells may write and run programs on every phone.
FOLDER = "/data/local/tmp"
TIMEOUT_S = 900.0
_EXECUTABLE = 0o755


class OverAdb:
    """A phone over adb; leave it by `with`, which removes what was pushed.

    Args:
        serial: of the phone; None for the only one.
        programs: what times the artifacts of a runtime, by its name; files for the phone's processor.
        folder: on the phone; one of our own is made in it, and removed in the end.

    Raises:
        RuntimeMissing: adbutils is not installed.
        OptionError: there is no such phone, or more than one and none was named.
    """

    def __init__(self, serial: str | None, programs: Mapping[str, Path], folder: str = FOLDER) -> None:
        self._device = _find(serial)
        self._programs = dict(programs)
        self._folder = f"{folder}/pocketfit-{uuid4().hex[:8]}"
        self._pushed: dict[Path, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pushed:
            self._shell(f"rm -rf {shlex.quote(self._folder)}")

    @cached_property
    def where(self) -> str:
        """The phone in words."""
        return f"{name_of(self._told)}, over adb"

    def condition(self) -> Condition:
        """Clusters, heat and battery as they are now."""
        return condition_of(self._told)

    def run(self, artifact: Artifact, *, threads: int, runs: int, batch: int = 1) -> Round:
        """Push an artifact and its program, unless that was done, and time it.

        Raises:
            OptionError: nothing was given to time that runtime with, or more than one sample was asked for.
            PocketfitError: the program failed on the phone, or printed no timing.
        """
        if artifact.runtime not in self._programs:
            raise OptionError(
                f"Nothing times {artifact.runtime} on the phone. Give --runner {artifact.runtime}=PROGRAM, built for "
                "its processor (docs/measuring.md)."
            )
        if batch > 1:
            raise OptionError(f"--batch {batch}: the programs on phones are given one sample. Leave --batch out.")
        program = self._programs[artifact.runtime]
        there = self._push(program, _EXECUTABLE)
        main, *_ = [self._push(file) for file in artifact.files]
        tool = tool_for(program.name)
        return tool.timing(self._shell(tool.command(there, main, artifact.input.shape, threads, runs)))

    def _push(self, file: Path, mode: int = 0o644) -> str:
        if file not in self._pushed:
            # Artifacts of one runtime may have equal names; each folder here gets one there.
            folders = list(dict.fromkeys([*(one.parent for one in self._pushed), file.parent]))
            there = f"{self._folder}/{folders.index(file.parent)}/{file.name}"
            self._shell(f"mkdir -p {shlex.quote(there.rpartition('/')[0])}")
            self._device.sync.push(file, there, mode)
            self._pushed[file] = there
        return self._pushed[file]

    def _shell(self, command: str) -> str:
        """What a command prints; it has to succeed."""
        done = self._device.shell2(f"{command} 2>&1", timeout=TIMEOUT_S, v2=True)
        if done.returncode:
            last = "\n".join(done.output.strip().splitlines()[-5:])
            raise PocketfitError(f"on the phone, {command.split()[0]} ended with {done.returncode}:\n{last}")
        return str(done.output)

    def _told(self, command: str) -> str:
        """What a command prints, whether it succeeds or not: not every phone has every one."""
        return str(self._device.shell2(f"{command} 2>/dev/null", timeout=TIMEOUT_S, v2=True).stdout)


def _find(serial: str | None) -> AdbDevice:
    try:
        import adbutils
    except ImportError as error:
        raise RuntimeMissing("adbutils is not installed: pip install 'pocketfit[adb]'") from error
    known = [one.serial for one in adbutils.adb.device_list()]
    if (serial is None and len(known) == 1) or serial in known:
        return adbutils.adb.device(serial or known[0])
    there = f"There are: {', '.join(known)}." if known else "There is none: turn on USB debugging, and plug it in."
    asked = f"No phone {serial} is ready over adb" if serial else f"{len(known)} phones are ready over adb"
    raise OptionError(f"{asked}. {there} Give --adb SERIAL; `adb devices` lists them.")
