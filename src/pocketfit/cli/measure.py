"""`pocketfit measure`: the artifacts of a bundle timed on this host, on a phone over adb, or in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
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
IN_BROWSER = (WORDS, ("answers off by (allowed)", "in the browser", *FIGURES[1:]))
# Whose artifacts a browser runs; a test compares it with the releases that are pinned.
BROWSER_RUNTIMES = ("onnxruntime", "litert")


@dataclass(frozen=True)
class _Row:
    """One line of the table; golden answers where the place was asked for them."""

    measured: Measured
    golden: Golden | None


def measure(
    bundle: Annotated[Path | None, typer.Argument(help="Folder written by `pocketfit fit -o`.")] = None,
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
    batch: Annotated[int, typer.Option(help="Samples of an inference, for artifacts with a dynamic batch.")] = 1,
    minutes: Annotated[float, typer.Option(help="Go on with rounds for so long: what heat leaves of it.")] = 0.0,
    folder: Annotated[
        str, typer.Option(help="On the phone, where shells may run programs; nothing stays there.")
    ] = "/data/local/tmp",
    address: Annotated[
        str | None,
        typer.Option(
            help="Of this host, for --browser: without it, the one in its network; 127.0.0.1 for adb reverse."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Likewise; 0 takes any that is free.")] = 0,
    wait: Annotated[float, typer.Option(help="Minutes to wait for the browser.")] = 10.0,
    web_runtimes: Annotated[
        Path | None, typer.Option(help="Folder with the runtimes for browsers, where this installation has none.")
    ] = None,
    benchmark: Annotated[
        Path | None, typer.Option(help="Instead: show pocketfit-benchmark.json, pulled from a generated Android app.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time the artifacts of a bundle on this host, on a phone over adb or in its browser, once or for minutes.

    Example: pocketfit measure bundle --adb any --runner litert=benchmark_model --threads 1,4 --minutes 5

    Example: pocketfit measure bundle --browser --runtimes litert
    """
    if benchmark is not None and bundle is not None:
        raise OptionError("--benchmark shows what an app measured. Leave the bundle or --benchmark out.")
    if benchmark is not None:
        _show_benchmark(benchmark, as_json)
        return
    if bundle is None:
        raise OptionError("Nothing is to be measured. Give the folder of a bundle, or --benchmark FILE of an app.")
    check_count("--runs", runs)
    check_count("--batch", batch)
    counts = _counts(threads)
    programs = dict(_program(text) for text in runner or ())
    _check_place(adb, programs, browser)
    usual = BROWSER_RUNTIMES if browser else tuple(programs) if adb else None
    read, entries = _entries(bundle, usual if runtimes is None else parse_names("--runtimes", runtimes, ""))
    work = _Work(read, tuple(product(entries, counts)), runs, batch, 60 * minutes)
    if browser:
        with opened([read.artifact(entry) for entry in entries], Invitation(address, port, wait, web_runtimes)) as page:
            rows, failed = work.done_at(page, lambda entry, count: check_golden(page, read, entry, count))
    else:
        with _place(adb, programs, folder) as place:
            rows, failed = work.done_at(place, lambda entry, count: None)
    _show(rows, failed, as_json)
    _conclude(rows, failed)


def _show_benchmark(path: Path, as_json: bool) -> None:
    from pocketfit.devices.measure.app_benchmark import read_benchmark

    told = read_benchmark(path)
    rows = [_Row(measured=one, golden=None) for one in told.measured]
    _show(rows, told.failed, as_json)
    _conclude(rows, told.failed)


def _show(rows: Sequence[_Row], failed: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json({"measured": [_to_json(row) for row in rows], "failed": list(failed)})
    else:
        _print(rows, failed)


@dataclass(frozen=True)
class _Work:
    """What is to be measured, wherever that is: artifacts, each with a count of threads."""

    bundle: Bundle
    pairs: Sequence[tuple[ArtifactEntry, int]]
    runs: int
    batch: int
    seconds: float

    def done_at(
        self, place: Place, golden: Callable[[ArtifactEntry, int], Golden | None]
    ) -> tuple[list[_Row], list[str]]:
        """A row for each that could be measured, and why for each that could not."""
        rows, failed = list[_Row](), list[str]()
        for entry, count in self.pairs:
            typer.echo(f"{entry.title}, threads: {count}", err=True)
            try:
                rows.append(_Row(golden=golden(entry, count), measured=self._measured(place, entry, count)))
            except PocketfitError as error:
                failed.append(f"{entry.title}, {count} threads: {error}")
        return rows, failed

    def _measured(self, place: Place, entry: ArtifactEntry, threads: int) -> Measured:
        from pocketfit.devices.measure.place import measure_at

        artifact = self.bundle.artifact(entry)
        return measure_at(
            place,
            artifact,
            threads=threads,
            runs=self.runs,
            batch=self.batch,
            seconds=self.seconds,
            watch=_tell,
        )


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


def _check_place(adb: str | None, programs: Mapping[str, Path], browser: bool) -> None:
    if browser and (adb or programs):
        raise OptionError("--browser needs neither --adb nor --runner: the phone opens a page. Leave them out.")
    if programs and adb is None:
        raise OptionError("--runner is for phones. Add --adb, or leave it out: this host runs artifacts itself.")
    if adb is not None and not programs:
        raise OptionError("--adb needs a program that times artifacts there: --runner RUNTIME=PROGRAM.")


@contextmanager
def _place(adb: str | None, programs: Mapping[str, Path], folder: str) -> Iterator[Place]:
    from pocketfit.devices.measure.adb import OverAdb
    from pocketfit.devices.measure.here import Here

    if adb is None:
        yield Here()
        return
    with OverAdb(None if adb == ANY else adb, programs, folder) as phone:
        yield phone


def _entries(path: Path, wanted: Sequence[str] | None) -> tuple[Bundle, list[ArtifactEntry]]:
    from pocketfit.bundle import read_bundle

    bundle = read_bundle(path)
    if bundle.others:
        folders = ", ".join(str(other.path) for other in bundle.others.values())
        typer.echo(f"Of its first variant. The others are bundles of their own: {folders}", err=True)
    there = [entry.runtime for entry in bundle.manifest.artifacts]
    chosen = [entry for entry in bundle.manifest.artifacts if wanted is None or entry.runtime in wanted]
    if not chosen:
        raise OptionError(f"{path} has no artifact for {', '.join(wanted or ())}. It has: {', '.join(there)}.")
    return bundle, chosen


def _tell(seconds: float, done: Round) -> None:
    typer.echo(f"  {seconds:6.1f} s   {done.ms:.4g} ms, {done.statistic} of {done.runs}", err=True)


def _to_json(row: _Row) -> dict[str, Any]:
    rounds = [{"seconds": seconds, **asdict(done)} for seconds, done in row.measured.rounds]
    golden = {} if row.golden is None else {"golden": asdict(row.golden)}
    return {**asdict(row.measured), "rounds": rounds, **golden}


def _print(rows: Sequence[_Row], failed: Sequence[str]) -> None:
    out = console()
    checked = any(row.golden for row in rows)
    out.print(table([_cells(row) for row in rows], *(IN_BROWSER if checked else (WORDS, FIGURES))))
    lines = [f"Measured on {rows[0].measured.where}."] if rows else []
    lines += [f"before: {_words(rows[0].measured.before)}; after: {_words(rows[-1].measured.after)}"] if rows else []
    lines += [f"Each inference is of {rows[0].measured.batch} samples."] if rows and rows[0].measured.batch > 1 else []
    lines += [CAUTION] if checked else []
    for line in (*lines, *(f"not measured: {one}" for one in failed)):
        out.print(line, markup=False, highlight=False)


def _cells(row: _Row) -> tuple[str, ...]:
    from pocketfit.search.units import milliseconds

    one = row.measured
    of = f"{one.first.statistic} of {one.first.runs}"
    last = f"{milliseconds(one.last.ms)}, {one.last.ms / one.first.ms - 1:+.0%}"
    golden = () if row.golden is None else (str(row.golden),)
    figures = (milliseconds(one.first.ms), of, last, str(len(one.rounds)))
    on = "" if one.device == "cpu" else f" on {one.device}"
    return (f"{one.runtime} {one.precision}{on}", str(one.threads), *golden, *figures)


def _conclude(rows: Sequence[_Row], failed: Sequence[str]) -> None:
    if not rows:
        raise PocketfitError("Nothing was measured:\n" + "\n".join(failed))
    wrong = [f"{row.measured.runtime} {row.measured.precision}" for row in rows if row.golden and not row.golden.passed]
    if wrong:
        raise VerificationFailed(
            f"In this browser, {', '.join(dict.fromkeys(wrong))} does not give the bundle's golden answers. Run "
            "`pocketfit verify` on the bundle: if it passes, the browser's runtime is at fault."
        )


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
