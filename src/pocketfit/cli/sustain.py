"""`pocketfit sustain`: what heat leaves of a latency, and what a day costs the battery; simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Weights, check_file, parse_shape
from pocketfit.cli.output import console, print_json, table
from pocketfit.cli.ways import (
    Devices,
    Every,
    Precision,
    RuntimeName,
    load_needs,
    narrowed_profiles,
    target_of,
)
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.devices.predict.predict import ModelNeeds
    from pocketfit.devices.profile import Profile
    from pocketfit.devices.sustain.sustain import Sustained, Usage

__all__ = ["sustain"]

WORDS = ("device", "way")
FIGURES = ("cold", "1 min", "10 min", "30 min", "range", "slows after", "duty", "a day")
NOTE = (
    "All of it is simulated, from predicted latencies and assumed power: nothing was measured. Milliseconds before any "
    "load and after minutes of it; range: at the end, from the low end of the prediction with the best cooling to the "
    "high end with the worst; "
    "duty: share of time that the highest clock can be kept for ever; a day: energy of inference alone."
)


def sustain(
    model: Model,
    weights: Weights = None,
    input_shape: InputShape = None,
    device: Devices = None,
    every: Every = False,
    runtime: RuntimeName = None,
    precision: Precision = None,
    per_second: Annotated[float | None, typer.Option(help="Inferences a second. Without it, without pause.")] = None,
    minutes: Annotated[float, typer.Option(help="Of one session, from a cool device.")] = 10.0,
    sessions: Annotated[int, typer.Option(help="A day.")] = 6,
    ambient: Annotated[float, typer.Option(help="Temperature of the air in °C.")] = 25.0,
    plot: Annotated[Path | None, typer.Option(help="Write an HTML page with latency and heat over time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a model under load: latency after 1, 10 and 30 minutes, duty cycle, and what a day costs.

    Example: pocketfit sustain timm:mobilenetv3_small_100 --device oneplus-7t --per-second 30 --plot heat.html
    """
    from pocketfit.devices.sustain.sustain import Usage

    check_file("--plot", plot)
    shape = None if input_shape is None else parse_shape(input_shape)
    usage = Usage(per_second=per_second, minutes=minutes, sessions=sessions, ambient_c=ambient)
    profiles = narrowed_profiles(device, every, runtime, precision)
    shown = _simulated(load_needs(model, weights, shape), profiles, usage, fastest=every)
    if plot is not None:
        from pocketfit.report.sustain import write_sustained

        write_sustained(model, usage, shown, plot)
    if as_json:
        print_json({"measured": False, "usage": asdict(usage), "simulated": [_to_json(one) for one in shown]})
    else:
        _print(shown, assumptions=not every)


def _simulated(needs: ModelNeeds, profiles: Sequence[Profile], usage: Usage, *, fastest: bool) -> list[Sustained]:
    """Every way of the devices under load, the one first that is fastest in the end."""
    from pocketfit.devices.predict.predict import predict
    from pocketfit.devices.sustain.sustain import sustain as simulate

    found = []
    for profile in profiles:
        try:
            ways = predict(needs, profile)[: 1 if fastest else None]
            found += [simulate(one, profile, target_of([profile], one), usage) for one in ways]
        except OptionError:
            # Of all devices, those are left out of whose cooling nothing is known.
            if not fastest:
                raise
    return sorted(found, key=lambda one: one.after[-1].ms)


def _to_json(one: Sustained) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "curve"}


def _print(shown: Sequence[Sustained], *, assumptions: bool) -> None:
    out = console()
    out.print(table([_row(one) for one in shown], WORDS, FIGURES))
    assumed = dict.fromkeys(f"{one.prediction.device}: {'; '.join(one.assumptions)}." for one in shown)
    for line in (NOTE, *(assumed if assumptions else ("--json and --plot tell what each rests on.",))):
        out.print(line, markup=False, highlight=False)


def _row(one: Sustained) -> tuple[str, ...]:
    from pocketfit.report.sustain import day, slows_after, way
    from pocketfit.search.units import significant

    last = one.after[-1]
    times = map(significant, (one.prediction.latency.ms, *(point.ms for point in one.after)))
    within = f"{significant(last.low_ms)} to {significant(last.high_ms)}"
    return (
        one.prediction.device,
        way(one.prediction),
        *times,
        within,
        slows_after(one),
        f"{one.duty_cycle.middling:.0%}",
        day(one),
    )
