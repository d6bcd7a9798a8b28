"""`pocketfit measure`: the artifacts of a bundle timed on this host, or on a phone over adb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.options import AsJson, check_count, parse_names
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import OptionError, PocketfitError

if TYPE_CHECKING:
    from pocketfit.devices.measure.place import Condition, Measured, Place, Round
    from pocketfit.types import Artifact

__all__ = ["measure"]

ANY = "any"
WORDS = ("artifact", "threads")
FIGURES = ("latency", "of", "at the end", "rounds")


def measure(
    bundle: Annotated[Path | None, typer.Argument(help="Folder written by `pocketfit fit -o`.")] = None,
    adb: Annotated[
        str | None, typer.Option(help="On a phone over adb: its serial, or any where one is plugged in.")
    ] = None,
    runner: Annotated[
        list[str] | None,
        typer.Option(help="RUNTIME=PROGRAM that times it on the phone, such as litert=benchmark_model. Repeatable."),
    ] = None,
    runtimes: Annotated[str | None, typer.Option(help="These only, joined by commas.")] = None,
    threads: Annotated[str, typer.Option(help="Counts, joined by commas.")] = "1",
    runs: Annotated[int, typer.Option(help="Inferences of a round.")] = 50,
    minutes: Annotated[float, typer.Option(help="Go on with rounds for so long: what heat leaves of it.")] = 0.0,
    folder: Annotated[
        str, typer.Option(help="On the phone, where shells may run programs; nothing stays there.")
    ] = "/data/local/tmp",
    benchmark: Annotated[
        Path | None, typer.Option(help="Instead: show pocketfit-benchmark.json, pulled from a generated Android app.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time the artifacts of a bundle on this host or on a phone, once or for minutes.

    Example: pocketfit measure bundle --adb any --runner litert=benchmark_model --threads 1,4 --minutes 5
    """
    from pocketfit.devices.measure.place import measure_at

    if benchmark is not None and bundle is not None:
        raise OptionError("--benchmark shows what an app measured. Leave the bundle or --benchmark out.")
    if benchmark is not None:
        _show_benchmark(benchmark, as_json)
        return
    if bundle is None:
        raise OptionError("Nothing is to be measured. Give the folder of a bundle, or --benchmark FILE of an app.")
    check_count("--runs", runs)
    counts = _counts(threads)
    programs = dict(_program(text) for text in runner or ())
    found, failed = [], []
    with _place(adb, programs, folder) as place:
        wanted = None if runtimes is None else parse_names("--runtimes", runtimes, "")
        for artifact in _artifacts(bundle, wanted or (tuple(programs) if adb else None)):
            for count in counts:
                try:
                    found.append(
                        measure_at(place, artifact, threads=count, runs=runs, seconds=60 * minutes, watch=_tell)
                    )
                except PocketfitError as error:
                    failed.append(f"{artifact.runtime} {artifact.precision}, {count} threads: {error}")
    _show(found, failed, as_json)


def _show_benchmark(path: Path, as_json: bool) -> None:
    from pocketfit.devices.measure.app_benchmark import read_benchmark

    told = read_benchmark(path)
    _show(told.measured, told.failed, as_json)


def _show(found: Sequence[Measured], failed: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json({"measured": [_to_json(one) for one in found], "failed": list(failed)})
    else:
        _print(found, failed)
    if not found:
        raise PocketfitError("Nothing was measured:\n" + "\n".join(failed))


def _counts(text: str) -> list[int]:
    names = parse_names("--threads", text, "")
    if not all(name.isdecimal() and int(name) > 0 for name in names):
        raise OptionError(f"--threads {text!r} is not a list of counts. Give numbers joined by commas, such as 1,4.")
    return sorted({int(name) for name in names})


def _program(text: str) -> tuple[str, Path]:
    runtime, _, path = text.partition("=")
    if not path or not Path(path).is_file():
        raise OptionError(f"--runner {text!r} is not RUNTIME=PROGRAM with a file. Write litert=benchmark_model.")
    return runtime, Path(path)


@contextmanager
def _place(adb: str | None, programs: Mapping[str, Path], folder: str) -> Iterator[Place]:
    from pocketfit.devices.measure.adb import OverAdb
    from pocketfit.devices.measure.here import Here

    if adb is None:
        if programs:
            raise OptionError("--runner is for phones. Add --adb, or leave it out: this host runs artifacts itself.")
        yield Here()
        return
    if not programs:
        raise OptionError("--adb needs a program that times artifacts there: --runner RUNTIME=PROGRAM.")
    with OverAdb(None if adb == ANY else adb, programs, folder) as phone:
        yield phone


def _artifacts(path: Path, wanted: Sequence[str] | None) -> list[Artifact]:
    from pocketfit.bundle import read_bundle

    bundle = read_bundle(path)
    there = [entry.runtime for entry in bundle.manifest.artifacts]
    chosen = [entry for entry in bundle.manifest.artifacts if wanted is None or entry.runtime in wanted]
    if not chosen:
        raise OptionError(f"{path} has no artifact for {', '.join(wanted or ())}. It has: {', '.join(there)}.")
    return [bundle.artifact(entry) for entry in chosen]


def _tell(seconds: float, done: Round) -> None:
    typer.echo(f"  {seconds:6.1f} s   {done.ms:.4g} ms, {done.statistic} of {done.runs}", err=True)


def _to_json(one: Measured) -> dict[str, Any]:
    rounds = [{"seconds": seconds, **asdict(done)} for seconds, done in one.rounds]
    return {**asdict(one), "rounds": rounds}


def _print(found: Sequence[Measured], failed: Sequence[str]) -> None:
    out = console()
    out.print(table([_row(one) for one in found], WORDS, FIGURES))
    lines = [f"Measured on {found[0].where}."] if found else []
    lines += [f"before: {_words(found[0].before)}; after: {_words(found[-1].after)}"] if found else []
    for line in (*lines, *(f"not measured: {one}" for one in failed)):
        out.print(line, markup=False, highlight=False)


def _row(one: Measured) -> tuple[str, ...]:
    from pocketfit.search.units import milliseconds

    of = f"{one.first.statistic} of {one.first.runs}"
    last = f"{milliseconds(one.last.ms)}, {one.last.ms / one.first.ms - 1:+.0%}"
    figures = (milliseconds(one.first.ms), of, last, str(len(one.rounds)))
    on = "" if one.device == "cpu" else f" on {one.device}"
    return (f"{one.runtime} {one.precision}{on}", str(one.threads), *figures)


def _words(one: Condition) -> str:
    """What a device tells of itself, in a line."""
    clusters = " + ".join(f"{part.count} cores to {part.max_mhz / 1000:.2g} GHz" for part in one.clusters)
    told = (
        clusters,
        "" if one.thermal_status is None else f"thermal status {one.thermal_status}",
        "" if one.skin_c is None else f"skin {one.skin_c:g} °C",
        "" if one.battery_percent is None else f"battery {one.battery_percent}%",
        "" if one.battery_c is None else f"battery {one.battery_c:g} °C",
        "charging" if one.charging else "",
    )
    return ", ".join(filter(None, told)) or "nothing told"
