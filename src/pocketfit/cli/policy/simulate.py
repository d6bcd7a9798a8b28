"""`pocketfit policy simulate`: what a policy does over a trace, or on a simulated phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.options import AsJson, check_file, check_one_of
from pocketfit.cli.output import console, print_json, table
from pocketfit.cli.policy.options import PolicyPath
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.policy import Policy
    from pocketfit.policy.simulate import Simulation

__all__ = ["simulate"]

WORDS = ("rule", "variant")
FIGURES = ("from s", "for s", "battery %", "status", "headroom ‰")


def simulate(
    policy: PolicyPath,
    trace: Annotated[Path | None, typer.Option(help="Readings: CSV with a header, or JSON lines.")] = None,
    scenario: Annotated[
        str | None,
        typer.Option(help="A simulated phone: camera, sun, low-battery, scenes, no-sensors, memory."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write an HTML page with battery, heat and variant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Follow a policy over recorded readings, or on a simulated phone that its decisions heat and drain.

    Example: pocketfit policy simulate policy.json --scenario sun --plot sun.html
    """
    from pocketfit.policy import read_policy

    check_file("--plot", plot)
    read = read_policy(policy)
    simulation = _simulate(read, trace, scenario)
    if plot is not None:
        from pocketfit.report.policy import write_simulation

        write_simulation(f"{policy.name}, {scenario or trace}", simulation, plot)
    if as_json:
        print_json(_to_json(simulation))
        return
    _show(read, simulation)


def _simulate(policy: Policy, trace: Path | None, scenario: str | None) -> Simulation:
    from pocketfit.policy.scenarios import SCENARIOS
    from pocketfit.policy.simulate import replay, run_scenario
    from pocketfit.policy.trace import read_trace

    if (trace is None) == (scenario is None):
        raise OptionError(f"Give either --trace FILE or --scenario, one of: {', '.join(SCENARIOS)}.")
    if trace is not None:
        return replay(policy, read_trace(trace))
    assert scenario is not None
    check_one_of("--scenario", scenario, SCENARIOS, "a scenario")
    return run_scenario(policy, SCENARIOS[scenario])


def _show(policy: Policy, simulation: Simulation) -> None:
    out = console()
    rows = []
    for frame, length_ms in simulation.spans():
        reading, decision = frame.reading, frame.decision
        sensors = (reading.battery_percent, reading.thermal_status, reading.headroom_permille)
        times = (f"{reading.time_ms / 1000:.1f}", f"{length_ms / 1000:.1f}")
        rows.append((decision.rule, decision.variant, *times, *("-" if one is None else str(one) for one in sensors)))
    out.print(table(rows, WORDS, FIGURES))
    counts = ", ".join(f"{count} {action.replace('_', ' ')}" for action, count in simulation.actions().items())
    lines = [f"{simulation.swaps} changes of variant. Frames: {counts}."]
    if simulation.predicted:
        lines.append("Predicted: battery and heat are those of a simulated phone, not a measurement.")
        if any(variant.power_mw is None for variant in policy.variants):
            lines.append("Variants without power_mw are taken to draw the same power as any other such.")
    for line in lines:
        out.print(line, markup=False, highlight=False)


def _to_json(simulation: Simulation) -> dict[str, Any]:
    return {
        "predicted": simulation.predicted,
        "duration_ms": simulation.duration_ms,
        "swaps": simulation.swaps,
        "actions": simulation.actions(),
        "spans": [
            {
                "rule": frame.decision.rule,
                "variant": frame.decision.variant,
                "time_ms": frame.reading.time_ms,
                "length_ms": length_ms,
                "battery_percent": frame.reading.battery_percent,
                "thermal_status": frame.reading.thermal_status,
                "headroom_permille": frame.reading.headroom_permille,
            }
            for frame, length_ms in simulation.spans()
        ],
    }
