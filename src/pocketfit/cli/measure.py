"""`pocketfit measure`: the artifacts of a bundle timed on this host, on a phone over adb, or in a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.in_browser import CAUTION, Golden, Invitation, check_golden, opened
from pocketfit.cli.options import AsJson, check_count, parse_names
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import OptionError, PocketfitError, VerificationFailed

if TYPE_CHECKING:
    from pocketfit.bundle import Bundle
    from pocketfit.bundle.manifest import ArtifactEntry
    from pocketfit.devices.measure.place import Condition, Measured, Place, Round

__all__ = ["measure"]

ANY = "any"
WORDS = ("artifact", "threads")
FIGURES = ("latency", "of", "at the end", "rounds")
GOLDEN = "golden answers"
# Whose artifacts a browser runs; a test compares it with the releases that are pinned.
BROWSER_RUNTIMES = ("onnxruntime", "litert")


@dataclass(frozen=True)
class _Row:
    """One line of the table; golden answers where the place was asked for them."""

    measured: Measured
    golden: Golden | None


def measure(
    bundle: Annotated[Path, typer.Argument(help="Folder written by `pocketfit fit -o`.")],
    adb: Annotated[
        str | None, typer.Option(help="On a phone over adb: its serial, or any where one is plugged in.")
    ] = None,
    runner: Annotated[
        list[str] | None,
        typer.Option(help="RUNTIME=PROGRAM that times it on the phone, such as litert=benchmark_model. Repeatable."),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="In the browser of a phone, which opens the page that is served here.")
    ] = False,
    runtimes: Annotated[str | None, typer.Option(help="These only, joined by commas.")] = None,
    threads: Annotated[str, typer.Option(help="Counts, joined by commas.")] = "1",
    runs: Annotated[int, typer.Option(help="Inferences of a round.")] = 50,
    minutes: Annotated[float, typer.Option(help="Go on with rounds for so long: what heat leaves of it.")] = 0.0,
    folder: Annotated[
        str, typer.Option(help="On the phone, where shells may run programs; nothing stays there.")
    ] = "/data/local/tmp",
    address: Annotated[
        str | None,
        typer.Option(help="Of this host, for --browser: without it, the one in its network; 127.0.0.1 for adb reverse."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Likewise; 0 takes any that is free.")] = 0,
    wait: Annotated[float, typer.Option(help="Minutes to wait for the browser.")] = 10.0,
    web_runtimes: Annotated[
        Path | None, typer.Option(help="Folder with the runtimes for browsers, where this installation has none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time the artifacts of a bundle on this host, on a phone over adb or in its browser, once or for minutes.

    Example: pocketfit measure bundle --adb any --runner litert=benchmark_model --threads 1,4 --minutes 5

    Example: pocketfit measure bundle --browser --runtimes litert
    """
    check_count("--runs", runs)
    counts = _counts(threads)
    programs = dict(_program(text) for text in runner or ())
    if browser and (adb or programs):
        raise OptionError("--browser needs neither --adb nor --runner: the phone opens a page. Leave them out.")
    wanted = None if runtimes is None else parse_names("--runtimes", runtimes, "")
    usual = BROWSER_RUNTIMES if browser else tuple(programs) if adb else None
    read, entries = _entries(bundle, wanted or usual)
    rows, failed = list[_Row](), list[str]()
    with ExitStack() as stack:
        if browser:
            invitation = Invitation(address, port, wait, web_runtimes)
            page = stack.enter_context(opened([read.artifact(entry) for entry in entries], invitation))
        place = page if browser else stack.enter_context(_place(adb, programs, folder))
        for entry, count in product(entries, counts):
            try:
                golden = check_golden(page, read, entry, count) if browser else None
                timed = measure_at(
                    place, read.artifact(entry), threads=count, runs=runs, seconds=60 * minutes, watch=_tell
                )
                rows.append(_Row(timed, golden))
            except PocketfitError as error:
                failed.append(f"{entry.title}, {count} threads: {error}")


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
    return (f"{one.runtime} {one.precision}", str(one.threads), *figures)


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
