"""What a `FrameRunner` allocates per frame, in C++, in Java on the JVM and in Swift on Linux.

The camera offers a frame, waits until the model has it answered and offers the next. `bytes_per_frame` is the most that
both threads together allocated in a round after the first frames, whole bytes; `run` is how many frames the model got.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Row
from pocketfit.apps.selftest import TARGETS, build

HOME = Path(__file__).parent / "app_code"
ROUNDS, FRAMES = 3, 1_000
PROGRAMS = {"cpp": HOME / "frames.cpp", "java": HOME / "Frames.java", "ios": HOME / "frames.swift"}


def run() -> Iterator[Row]:
    """One row per language."""
    with tempfile.TemporaryDirectory() as folder:
        for target in (target for target in TARGETS if "arm64" not in target.name):
            name = str(target.platform)
            (Path(folder) / name).mkdir()
            command = build(target, Path(folder) / name, PROGRAMS[name]).command
            rounds = [_measure(command) for _ in range(ROUNDS)]
            yield {
                "language": name,
                "frames": FRAMES,
                "bytes_per_frame": max(one["bytes"] for one in rounds) // FRAMES,
                "run": min(one["run"] for one in rounds),
            }


def _measure(command: tuple[str, ...]) -> Row:
    done = subprocess.run([*command, str(FRAMES)], capture_output=True, text=True, check=True, timeout=600)
    found: Row = json.loads(done.stdout)
    return found
