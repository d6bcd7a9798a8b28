"""`pocketfit fit --strategy search`: its options, and what is shown of a search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import check_count, check_one_of
from pocketfit.errors import BudgetMissed, OptionError

if TYPE_CHECKING:
    from pocketfit.pipeline import FitRequest
    from pocketfit.search.outcome import Outcome
    from pocketfit.searching import SearchRequest, SearchResult

__all__ = [
    "LatencyOption",
    "RayAddress",
    "SearchOptions",
    "Storage",
    "Strategy",
    "Timeout",
    "Trials",
    "Workers",
    "run_search",
    "wants_search",
]

TRIALS = 40
STRATEGIES = ("all", "search")

Strategy = Annotated[
    str,
    typer.Option(help="all: the model in every runtime and precision; search: pruned and smaller ones too, the best."),
]
LatencyOption = Annotated[
    str | None,
    typer.Option("--latency", help="Of a search: allowed, here on one thread (30ms), or predicted (30ms@DEVICE)."),
]
Trials = Annotated[int, typer.Option(help="Of a search: candidates in all.")]
Timeout = Annotated[
    str | None, typer.Option(help="Of a search: time of this run, such as 90s, 10m, 2h; started again, it goes on.")
]
Workers = Annotated[
    int | None,
    typer.Option(help="Of a search: candidates at once; 1 here, or one a CPU with --ray."),
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Of a search: work on a Ray cluster: auto, HOST:6379, or local."),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Of a search: its database, such as postgresql://…; else SQLite beside --out."),
]

_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", re.IGNORECASE)
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_WORDS = ("", "deployment", "MACs", "input")
_FIGURES = ("drop", "latency", "size")


@dataclass(frozen=True)
class SearchOptions:
    """What the user wrote of a search."""

    metric: str
    latency: str | None = None
    trials: int = TRIALS
    timeout: str | None = None
    workers: int | None = None
    ray: str | None = None
    storage: str | None = None

    def given(self) -> list[str]:
        """Those that say something."""
        plain = SearchOptions(self.metric)
        return [f"--{name}" for name, value in asdict(self).items() if value != getattr(plain, name)]


def wants_search(strategy: str, options: SearchOptions) -> bool:
    """Whether a search is asked for.

    Raises:
        OptionError: the strategy is none, or it is another one and something is said of a search.
    """
    check_one_of("--strategy", strategy, STRATEGIES, "a strategy")
    if strategy != "search" and options.given():
        raise OptionError(f"{', '.join(options.given())} is about a search. Add --strategy search, or leave it out.")
    return strategy == "search"


def run_search(
    fit: FitRequest, options: SearchOptions, *, dry_run: bool, as_json: bool, report: Path | None = None
) -> None:
    """Search with progress on standard error and the front on standard output.

    Raises:
        BudgetMissed: the search is over and nothing fits the budget.
    """
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.searching import search, search_intentions

    request = _request(fit, options)
    if dry_run:
        for line in search_intentions(request):
            typer.echo(line)
        return
    with Progress(Console(stderr=True)) as progress:
        result = search(request, progress)
    _show(result, as_json)
    if report is not None and result.fit is not None:
        _write_report(result, report)
    if result.best is None:
        raise BudgetMissed(
            f"none of {len(result.outcomes)} candidates fits the budget. No bundle was written. Allow more, or give "
            "the search more --trials: it goes on where it ended"
        )
    if not as_json:
        typer.echo(f"\nBundle: {fit.out} (report.html inside). Check it anywhere: pocketfit verify {fit.out}")


def _request(fit: FitRequest, options: SearchOptions) -> SearchRequest:
    from pocketfit.devices.predict.limit import parse_latency
    from pocketfit.searching import SearchRequest

    check_count("--trials", options.trials)
    check_count("--workers", options.workers)
    return SearchRequest(
        fit=fit,
        metric=options.metric,
        trials=options.trials,
        timeout_s=None if options.timeout is None else parse_time(options.timeout),
        latency=None if options.latency is None else parse_latency(options.latency),
        workers=options.workers,
        ray=options.ray,
        storage=options.storage,
    )


def parse_time(text: str) -> float:
    """Read `--timeout` in seconds.

    Raises:
        OptionError: it is no time.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise OptionError(f"--timeout {text!r} is no time. Allowed are seconds, minutes and hours: 90s, 10m, 2h.")
    return float(match[1]) * _SECONDS[match[2].lower()]


def _show(result: SearchResult, as_json: bool) -> None:
    from pocketfit.cli.output import console, print_json, table
    from pocketfit.search.outcome import State

    if as_json:
        print_json(_as_json(result))
        return
    out = console()
    out.print(table([_row(one, result) for one in result.front], _WORDS, _FIGURES))
    counts = {state: sum(one.state is state for one in result.outcomes) for state in State}
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    lines = (
        f"{len(result.outcomes)} of {len(result.space)} candidates: {told}. Above are those that none beats in drop, "
        "latency and size at once.",
        *_ruled_out(result.ruled_out),
        f"Latency: {result.where}. Kept in {result.storage}.",
        *result.notes,
    )
    for line in lines:
        out.print(line, markup=False, highlight=False)


def _ruled_out(count: int) -> Iterator[str]:
    if count:
        yield f"{count} more were not tried: what is known of those that were rules them out."


def _row(outcome: Outcome, result: SearchResult) -> tuple[str, ...]:
    from pocketfit.search.units import drop, milliseconds, size

    point = outcome.point
    mark = "best" if outcome == result.best else ("" if outcome.fits else "over budget")
    figures = (
        drop(outcome.drop or 0.0, result.metric.unit),
        milliseconds(outcome.latency_ms or 0.0),
        size(outcome.size_bytes or 0),
    )
    return (mark, str(point.deployment), f"{point.macs}%", "x".join(map(str, point.input)), *figures)


def _as_json(result: SearchResult) -> dict[str, object]:
    from pocketfit.search.study import outcome_to_json

    return {
        "model": result.model,
        "metric": result.metric.name,
        "float_value": result.float_value,
        "latency": result.where,
        "space": len(result.space),
        "storage": result.storage,
        "seconds": result.seconds,
        "best": None if result.best is None else outcome_to_json(result.best),
        "front": [outcome_to_json(one) for one in result.front],
        "ruled_out": result.ruled_out,
        "outcomes": [outcome_to_json(one) for one in result.outcomes],
        "notes": list(result.notes),
    }


def _write_report(result: SearchResult, path: Path) -> None:
    from pocketfit.report.html import write_html

    assert result.fit is not None
    write_html(result.fit, path, result.outcomes)
