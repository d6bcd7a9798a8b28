"""Programs that time a model on a phone: how each is called and what it prints.

They come with the runtimes, built for the phone's processor; Pocketfit ships none. Any other program does that takes
FILE THREADS RUNS and prints the milliseconds of each inference, one a line.
"""

from __future__ import annotations

import re
import shlex
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from pocketfit.devices.measure.place import Round
from pocketfit.errors import PocketfitError

__all__ = ["Tool", "tool_for"]


@dataclass(frozen=True)
class Tool:
    """Args:
    name: that its program's file begins with.
    arguments: behind the program, from main file, input shape, threads and runs.
    read: the timing from what it prints; None where there is none.
    """

    name: str
    arguments: Callable[[str, tuple[int, ...], int, int], list[str]]
    read: Callable[[str], Round | None]

    def command(self, program: str, file: str, shape: tuple[int, ...], threads: int, runs: int) -> str:
        """The line for the phone's shell."""
        return shlex.join([program, *self.arguments(file, shape, threads, runs)])

    def timing(self, text: str) -> Round:
        """What it says.

        Raises:
            PocketfitError: it printed no timing.
        """
        found = self.read(text)
        if found is None:
            last = "\n".join(text.strip().splitlines()[-5:]) or "nothing"
            raise PocketfitError(f"the program on the phone printed no timing that {self.name} prints, but:\n{last}")
        return found


def tool_for(program: str) -> Tool:
    """The tool that a program is, by the beginning of its file's name."""
    return next((tool for tool in _TOOLS if program.startswith(tool.name)), _LINES)


_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


def _benchmark_model(file: str, shape: tuple[int, ...], threads: int, runs: int) -> list[str]:
    # Without the limits of time it would stop before, or go on after, the runs that are asked for.
    limits = ["--min_secs=0", "--max_secs=600", "--warmup_runs=5"]
    return [f"--graph={file}", f"--num_threads={threads}", f"--num_runs={runs}", *limits]


def _read_benchmark_model(text: str) -> Round | None:
    """The last line of statistics: warm-up has one before. Newer releases print the median, in microseconds."""
    lines = [line for line in text.splitlines() if "count=" in line and "avg=" in line]
    if not lines:
        return None
    found = dict(re.findall(rf"(\w+)={_NUMBER}", lines[-1]))
    statistic = "median" if "median" in found else "avg"
    return Round(float(found[statistic]) / 1000, int(float(found["count"])), "median" if "median" in found else "mean")


def _benchncnn(file: str, shape: tuple[int, ...], threads: int, runs: int) -> list[str]:
    # Loops, threads, all cores, no GPU, no pause; the shape is width, height, channels.
    sides = ",".join(map(str, reversed(shape[1:])))
    return [str(runs), str(threads), "0", "-1", "0", f"param={file}", f"shape=[{sides}]"]


def _read_benchncnn(text: str) -> Round | None:
    found = re.findall(rf"min =\s*{_NUMBER}\s+max =\s*{_NUMBER}\s+avg =\s*{_NUMBER}", text)
    loops = re.search(r"loop_count = (\d+)", text)
    return Round(float(found[-1][2]), int(loops[1]) if loops else 1, "mean") if found else None


def _plain(file: str, shape: tuple[int, ...], threads: int, runs: int) -> list[str]:
    return [file, str(threads), str(runs)]


def _read_lines(text: str) -> Round | None:
    times = [float(line) for line in text.split("\n") if re.fullmatch(_NUMBER, line.strip())]
    return Round(statistics.median(times), len(times), "median") if times else None


_TOOLS = (
    Tool("benchmark_model", _benchmark_model, _read_benchmark_model),
    Tool("benchncnn", _benchncnn, _read_benchncnn),
)
_LINES = Tool("one latency a line", _plain, _read_lines)
