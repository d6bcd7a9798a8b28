"""`pocketfit optimize`: what the graph passes do to a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Weights, check_file, parse_shape
from pocketfit.cli.output import console, print_json, table

if TYPE_CHECKING:
    from pocketfit.inspection.optimised import Optimised

__all__ = ["optimize"]

PASS_TITLES, PASS_FIGURES = ("pass",), ("changes",)
OP_TITLES, OP_FIGURES = ("op",), ("before", "after")


def optimize(
    model: Model,
    weights: Weights = None,
    input_shape: InputShape = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the optimised model, as a .pt2 file for `pocketfit fit`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the graph passes do to a model, and prove that it answers as before.

    `pocketfit fit` runs them in any case; they are fusing, folding and taking out what does nothing.
    Example: pocketfit optimize timm:repvgg_a0.
    """
    shape = None if input_shape is None else parse_shape(input_shape)
    check_file("--out", out, ".pt2")

    from pocketfit.inspection.optimised import explain_passes
    from pocketfit.models.canonical import canonicalise, prepare
    from pocketfit.models.load import find_source
    from pocketfit.models.store import write_program

    source = find_source(model, weights=weights, input_shape=shape)
    assert source.input_shape is not None  # find_source asks for it
    prepare(source.module)
    optimised = explain_passes(source.module, source.input_shape)
    if out is not None:
        write_program(canonicalise(source.module, source.input_shape, name=source.name, source=model), out)
    if as_json:
        print_json(asdict(optimised))
        return
    _show(optimised)
    if out is not None:
        console().print(f"Wrote {out}. Fit it: pocketfit fit {out} --data …", markup=False, highlight=False)


def _show(optimised: Optimised) -> None:
    from pocketfit.search.units import size

    out = console()
    passes = [(one.name, str(one.changes)) for one in optimised.passes if one.changes]
    out.print(table(passes, PASS_TITLES, PASS_FIGURES) if passes else "No pass found anything to change.")
    before, after = optimised.before, optimised.after
    names = sorted({*before.by_op, *after.by_op})
    counts = [(name, before.by_op.get(name, 0), after.by_op.get(name, 0)) for name in names]
    rows = [(name, str(one), str(other)) for name, one, other in counts if one != other]
    rows += [
        ("all ops", f"{before.ops:,}", f"{after.ops:,}"),
        ("MACs", f"{before.macs:,}", f"{after.macs:,}"),
        ("bytes moved", size(before.bytes_moved), size(after.bytes_moved)),
    ]
    out.print(table(rows, OP_TITLES, OP_FIGURES))
