"""A 1080p camera image (NV21) to a model's input of 224 x 224, float32, in C++ and in Java on the JVM.

Both resize the shorter side to 256, crop, and normalise, and take turns, round by round. A figure is the median of all
frames in CPU time of their one thread, to which other processes on the machine do not add; `ratio` is the median of the
rounds' own ratios. `bytes_per_frame` is what was allocated per frame after the first ones.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Row
from pocketfit.apps.selftest import TARGETS, build
from pocketfit.contract import Contract, Crop, Kernel, ShorterSide, Yuv, YuvFormat, contract_to_json

HOME = Path(__file__).parent / "app_code"
ROUNDS, FRAMES = 3, 20
KERNELS = (Kernel.BILINEAR, Kernel.BICUBIC, Kernel.AREA)
PROGRAMS = {"cpp": HOME / "speed.cpp", "java": HOME / "Speed.java"}


def run() -> Iterator[Row]:
    """One row per kernel."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        commands = {}
        for target in (target for target in TARGETS if "arm64" not in target.name):
            name = str(target.platform)
            (home / name).mkdir()
            commands[name] = build(target, home / name, PROGRAMS[name]).command
        for kernel in KERNELS:
            (home / "contract.json").write_text(contract_to_json(_contract(kernel)))
            rounds = [
                {name: _time(command, home / "contract.json") for name, command in commands.items()}
                for _ in range(ROUNDS)
            ]
            yield _row(kernel, rounds)


def _contract(kernel: Kernel) -> Contract:
    return Contract(
        input=Yuv(YuvFormat.NV21),
        resize=ShorterSide(256),
        kernel=kernel,
        crop=Crop((224, 224)),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _time(command: tuple[str, ...], contract: Path) -> Row:
    """What a program prints: milliseconds of each frame, and bytes allocated per frame."""
    done = subprocess.run([*command, contract, str(FRAMES)], capture_output=True, text=True, check=True, timeout=600)
    found: Row = json.loads(done.stdout)
    return found


def _row(kernel: Kernel, rounds: list[dict[str, Row]]) -> Row:
    row: Row = {"kernel": str(kernel)}
    for name in rounds[0]:
        row[f"{name}_cpu_ms"] = round(statistics.median(ms for one in rounds for ms in one[name]["ms"]), 3)
    ratios = [statistics.median(one["java"]["ms"]) / statistics.median(one["cpp"]["ms"]) for one in rounds]
    row |= {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_low": round(min(ratios), 3),
        "ratio_high": round(max(ratios), 3),
    }
    return row | {f"{name}_bytes_per_frame": max(one[name]["bytes_per_frame"] for one in rounds) for name in rounds[0]}
