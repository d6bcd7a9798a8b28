"""What the benchmark of a generated Android app writes, read as what is measured here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketfit.devices.measure.place import Condition, Measured, Round
from pocketfit.errors import InputError

__all__ = ["AppBenchmark", "read_benchmark"]

FORMAT, VERSION = "pocketfit-benchmark", 1


@dataclass(frozen=True)
class AppBenchmark:
    """One run of an app's benchmark.

    Args:
        measured: what was timed.
        failed: what was not, each with the reason.
    """

    measured: tuple[Measured, ...]
    failed: tuple[str, ...]


def read_benchmark(path: Path) -> AppBenchmark:
    """Read the JSON of an app's benchmark.

    Args:
        path: pocketfit-benchmark.json, pulled from the phone.

    Raises:
        InputError: it is no such file.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        _check(told, path)
        measured = tuple(_measured(one, str(told["where"])) for one in told["measured"])
        return AppBenchmark(measured, tuple(str(one) for one in told["failed"]))
    except FileNotFoundError as error:
        raise InputError(f"There is no {path}. Pull it from the phone: docs/android.md says how.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not what an app's benchmark writes ({type(error).__name__}: {error}). Run the benchmark again, "
            "and pull its pocketfit-benchmark.json."
        ) from error


def _check(told: Mapping[str, Any], path: Path) -> None:
    if told["format"] != FORMAT:
        raise ValueError(f"its format is {told['format']!r}, not {FORMAT!r}")
    if told["version"] != VERSION:
        raise InputError(
            f"{path} has version {told['version']}; this Pocketfit reads {VERSION}. Generate the app again with it."
        )


def _measured(one: Mapping[str, Any], where: str) -> Measured:
    rounds = tuple((_time(each["seconds"]), _round(each)) for each in one["rounds"])
    if not rounds:
        raise ValueError("an artifact has no rounds")
    return Measured(
        runtime=str(one["runtime"]),
        precision=str(one["precision"]),
        threads=int(one["threads"]),
        batch=1,
        where=where,
        before=_condition(one["before"]),
        after=_condition(one["after"]),
        rounds=rounds,
        device=str(one["device"]),
    )


def _round(told: Mapping[str, Any]) -> Round:
    return Round(_time(told["ms"]), int(told["runs"]), str(told["statistic"]))


def _time(value: Any) -> float:
    time = float(value)
    if not math.isfinite(time) or time < 0:
        raise ValueError(f"{value} is no time")
    return time


def _condition(told: Mapping[str, Any]) -> Condition:
    return Condition(
        thermal_status=told["thermal_status"],
        battery_percent=told["battery_percent"],
        battery_c=told["battery_c"],
        charging=told["charging"],
    )
