"""`pocketfit optimize`: what the graph passes do to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Preprocess, Weights, check_file, parse_names, parse_shape
from pocketfit.cli.output import console, print_json, table, tell_model
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from pocketfit.graph.replacements import Replacement
    from pocketfit.inspection.optimised import Optimised
    from pocketfit.inspection.replaced import Replaced
    from pocketfit.types import LoadedModel

__all__ = ["optimize"]

PASS_TITLES, PASS_FIGURES = ("pass",), ("changes",)
OP_TITLES, OP_FIGURES = ("op",), ("before", "after")
REPLACED_TITLES, REPLACED_FIGURES = ("replaced", "by"), ("calls", "largest", "RMS", "equal")
# To measure replacements with.
SAMPLES = 32


def optimize(
    model: Model,
    weights: Weights = None,
    input_shape: InputShape = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the optimised model, as a .pt2 file for `pocketfit fit`.")
    ] = None,
    replace: Annotated[
        str | None,
        typer.Option(
            help="Then replace these ops, joined by commas, and say what it costs: silu, gelu, quick-gelu, sigmoid, "
            "hardswish, hardsigmoid, adaptive-pooling, bicubic, align-corners."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Samples to measure that with, as for `pocketfit fit`; random ones without it.")
    ] = None,
    preprocess: Preprocess = None,
    as_json: AsJson = False,
) -> None:
    """Show what the graph passes do to a model, and prove that it answers as before.

    `pocketfit fit` runs them in any case; they are fusing, folding and taking out what does nothing. Replacing is done
    only here and on request: it changes the answers, by as much as is shown.
    Example: pocketfit optimize timm:repvgg_a0 --replace silu,sigmoid --data photos -o lighter.pt2
    """
    shape = None if input_shape is None else parse_shape(input_shape)
    check_file("--out", out, ".pt2")
    wanted = _wanted(replace)
    if data is not None and not wanted:
        raise OptionError("--data is what --replace measures with. Give --replace, or leave it out.")

    from pocketfit.inspection.optimised import explain_passes
    from pocketfit.models.canonical import canonicalise, prepare
    from pocketfit.models.load import find_source
    from pocketfit.models.store import write_program

    source = find_source(model, weights=weights, input_shape=shape)
    assert source.input_shape is not None  # find_source asks for it
    prepare(source.module)
    optimised = explain_passes(source.module, source.input_shape)
    rows: tuple[Replaced, ...] = ()
    if wanted or out is not None:
        canonical = canonicalise(
            source.module, source.input_shape, name=source.name, source=model, preprocess=source.preprocess
        )
        if wanted:
            canonical, rows = _replace(canonical, wanted, data, preprocess)
        if out is not None:
            write_program(canonical, out)
    if as_json:
        print_json({**asdict(optimised), **({"replaced": [asdict(row) for row in rows]} if rows else {})})
        return
    _show(optimised)
    _show_replaced(rows, "random input" if data is None else data)
    tell_model(out)


def _wanted(names: str | None) -> tuple[Replacement, ...]:
    if names is None:
        return ()
    from pocketfit.inspection.replaced import find_replacements

    return find_replacements(parse_names("--replace", names, "`pocketfit optimize --help` lists them."))


def _replace(
    model: LoadedModel, wanted: Sequence[Replacement], data: str | None, preprocess: Path | None
) -> tuple[LoadedModel, tuple[Replaced, ...]]:
    from pocketfit.inspection.replaced import random_samples, replace_ops

    samples = random_samples(model) if data is None else _samples(model, data, preprocess)
    return replace_ops(model, wanted, samples)


def _samples(model: LoadedModel, data: str, preprocess: Path | None) -> list[np.ndarray]:
    from pocketfit.data.load import load_data
    from pocketfit.data.options import parse_preprocess, resolve_preprocess
    from pocketfit.data.preprocess import batches
    from pocketfit.store import default_cache

    spec = resolve_preprocess(parse_preprocess(file=preprocess), model.preprocess)
    dataset = load_data(
        data,
        preprocess=spec,
        input_shape=model.row_shape,
        inputs=model.inputs,
        cache=default_cache(),
        calibration=SAMPLES,
    )
    return list(batches(dataset.calibration, 1))


def _show_replaced(rows: Sequence[Replaced], source: str) -> None:
    if not rows:
        return
    cells = [
        (row.name, row.becomes, str(row.count), f"{row.largest:.2g}", f"{row.rms:.2g}", "yes" if row.equal else "no")
        for row in rows
    ]
    out = console()
    out.print(table(cells, REPLACED_TITLES, REPLACED_FIGURES))
    out.print(f"Differences are shares of the outputs' range, on {source}.", markup=False, highlight=False)


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
