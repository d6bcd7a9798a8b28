"""`pocketfit inspect`: what a model costs, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Weights, parse_names, parse_shape
from pocketfit.cli.output import console, print_json, table

if TYPE_CHECKING:
    from pocketfit.inspection.arena.plan import ArenaPlan
    from pocketfit.inspection.cost import Inspection, LayerCost
    from pocketfit.types import LoadedModel, Runtime

__all__ = ["inspect"]

WORDS = ("module", "op", "output")
FIGURES = ("parameters", "MACs", "output size")


def inspect(
    model: Model,
    weights: Weights = None,
    input_shape: InputShape = None,
    every_op: Annotated[bool, typer.Option("--all", help="Show ops without parameters or arithmetic too.")] = False,
    runtimes: Annotated[
        str | None,
        typer.Option(help="Convert for these, joined by commas, and show what they say of their activation memory."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model costs, layer by layer.

    Parameters, multiply-accumulates (MACs) and activation memory in float32, with a batch of one: as the graph has it,
    and planned, with ops in the best order, results in place of what dies, and every tensor at its offset.
    Example: pocketfit inspect net.py:build --runtimes onnxruntime,litert
    """
    shape = None if input_shape is None else parse_shape(input_shape)
    asked = _asked(runtimes)

    from pocketfit.inspection.arena.plan import plan_arena
    from pocketfit.inspection.cost import inspect_model
    from pocketfit.models.load import load_model

    loaded = load_model(model, weights=weights, input_shape=shape)
    inspection, plan = inspect_model(loaded), plan_arena(loaded.graph)
    told = _told(loaded, asked)
    if as_json:
        print_json({**asdict(inspection), "arena": asdict(plan), **({"runtimes": told} if asked else {})})
        return
    shown = [layer for layer in inspection.layers if every_op or layer.parameters or layer.macs]
    out = console()
    out.print(table([_row(layer) for layer in shown], WORDS, FIGURES))
    for line in (*_totals(inspection, len(shown)), *_arena(plan), *_own(told)):
        out.print(line, markup=False)


def _asked(names: str | None) -> list[Runtime]:
    from pocketfit.runtimes import get_runtime

    if names is None:
        return []
    return [get_runtime(name) for name in parse_names("--runtimes", names, "`pocketfit runtimes` lists them.")]


def _told(model: LoadedModel, runtimes: Sequence[Runtime]) -> dict[str, dict[str, object]]:
    """By runtime the bytes and how they were found, or why there are none; a failure is a row, too."""
    from rich.console import Console

    from pocketfit.errors import PocketfitError
    from pocketfit.runtimes.activations import ask_runtime

    rows: dict[str, dict[str, object]] = {}
    for runtime in runtimes:
        with Console(stderr=True).status(f"converting for {runtime.info.title}"):
            try:
                told = ask_runtime(model, runtime)
            except PocketfitError as error:
                rows[runtime.info.name] = {"bytes": None, "how": str(error).splitlines()[0]}
            else:
                rows[runtime.info.name] = {"bytes": None, "how": "it does not tell"} if told is None else asdict(told)
    return rows


def _row(layer: LayerCost) -> tuple[str, ...]:
    from pocketfit.search.units import size

    output = "x".join(map(str, layer.output_shape))
    figures = (f"{layer.parameters:,}", f"{layer.macs:,}", size(layer.output_bytes))
    return (layer.source or layer.name, layer.op, output, *figures)


def _totals(inspection: Inspection, shown: int) -> list[str]:
    from pocketfit.search.units import size

    hidden = len(inspection.layers) - shown
    return [
        *([f"{hidden} more ops have neither parameters nor arithmetic to count; --all shows them."] if hidden else []),
        f"parameters          {inspection.parameters:,} ({size(inspection.weight_bytes)} in float32)",
        f"MACs                {inspection.macs:,}",
        f"activation memory   {size(inspection.peak_activation_bytes)} at its peak, at {inspection.peak_layer}",
        f"largest tensor      {size(inspection.largest_tensor_bytes)}, written by {inspection.largest_tensor}",
    ]


def _arena(plan: ArenaPlan) -> list[str]:
    from pocketfit.search.units import size

    alive = ", ".join(f"{one.source or one.name} {size(one.size)}" for one in plan.alive)
    return [
        f"activation arena    {size(plan.arena_bytes)} planned; no plan takes less than {size(plan.lower_bound_bytes)},"
        f" greedy by size {size(plan.greedy_bytes)}",
        f"fullest at          {plan.peak_node}: {alive}",
        f"in place            {len(plan.in_place)} ops write over what they are the last to read; --json names them",
    ]


def _own(told: Mapping[str, dict[str, object]]) -> list[str]:
    from pocketfit.search.units import size

    return [
        f"{name:<19} {size(found) if isinstance(found := row['bytes'], int) else '-'}: {row['how']}"
        for name, row in told.items()
    ]
