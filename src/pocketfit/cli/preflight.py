"""`pocketfit preflight`: what will happen to a model, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Targets, Weights, check_file, parse_names, parse_shape
from pocketfit.cli.output import console, print_json, table

if TYPE_CHECKING:
    from pocketfit.preflight.check import DelegateOutlook, Doubt, Outlook
    from pocketfit.types import LoadedModel, Runtime

__all__ = ["preflight"]

TITLES = ("runtime", "ops", "precisions", "INT8 pays", "why")
DOUBT_TITLES = ("op", "where", "said of it", "can be rewritten as")
DELEGATE_TITLES = ("delegate", "on the CPU")
DELEGATE_FIGURES = ("ops", "MACs", "partitions")
NOTE = (
    "Ops: tried one by one with each converter. Delegates: from their makers' documentation, not run. INT8: a rule of "
    "thumb from the graph, not a measurement; `pocketfit fit` measures."
)


def preflight(
    model: Model,
    weights: Weights = None,
    input_shape: InputShape = None,
    targets: Targets = None,
    rewrite: Annotated[
        Path | None,
        typer.Option(help="Write the model with every rewrite that is offered, as a .pt2 file for `pocketfit fit`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what will happen to a model in each runtime, before any work.

    Which ops are taken, which an accelerator leaves to the CPU and in how many pieces that breaks the model, what can
    be rewritten, and whether INT8 can be expected to pay. Example: pocketfit preflight timm:mobilenetv3_small_100.
    """
    shape = None if input_shape is None else parse_shape(input_shape)
    chosen = _runtimes(targets)
    check_file("--rewrite", rewrite, ".pt2")

    from pocketfit.models.load import load_model
    from pocketfit.preflight.check import check
    from pocketfit.preflight.support import tried_versions

    loaded = load_model(model, weights=weights, input_shape=shape)
    outlooks = check(loaded, chosen)
    written = _write(loaded, outlooks, rewrite)
    if as_json:
        print_json({"runtimes": [asdict(one) for one in outlooks], "tried_with": dict(tried_versions())})
        return
    out = console()
    out.print(table([_row(one) for one in outlooks], TITLES))
    if doubts := _doubt_rows(outlooks):
        out.print(table(doubts, DOUBT_TITLES))
    out.print(
        table([_delegate_row(one, two) for one in outlooks for two in one.delegates], DELEGATE_TITLES, DELEGATE_FIGURES)
    )
    for line in (*written, NOTE):
        out.print(line, markup=False, highlight=False)


def _runtimes(targets: str | None) -> list[Runtime]:
    from pocketfit.runtimes import all_runtimes, get_runtime

    if targets is None:
        return list(all_runtimes())
    names = parse_names("--targets", targets, "`pocketfit runtimes` lists them.")
    return [get_runtime(name) for name in names]


def _write(model: LoadedModel, outlooks: tuple[Outlook, ...], path: Path | None) -> list[str]:
    """Write the rewritten model, and say so."""
    if path is None:
        return []
    from pocketfit.errors import OptionError
    from pocketfit.models.store import write_program
    from pocketfit.preflight.rewrites import rewrite

    ops = sorted({doubt.op for one in outlooks for doubt in one.refused if doubt.becomes})
    if not ops:
        raise OptionError("--rewrite: no rewrite is offered for this model and these targets. Leave the option out.")
    write_program(rewrite(model, ops), path)
    return [f"Wrote {path} without {', '.join(ops)}. Fit it: pocketfit fit {path} --data …"]


def _row(one: Outlook) -> tuple[str, ...]:
    taken = one.ops - sum(doubt.count for doubt in one.refused)
    precisions = ", ".join(one.precisions)
    return (one.runtime, f"{taken} of {one.ops}", precisions, one.int8.expectation, one.int8.why)


def _doubt_rows(outlooks: Sequence[Outlook]) -> list[tuple[str, ...]]:
    """A row for each op that some runtime may not take."""
    ops: dict[str, list[tuple[str, Doubt]]] = {}
    for one in outlooks:
        for doubt in one.doubts:
            ops.setdefault(doubt.op, []).append((one.runtime, doubt))
    return [_doubt_row(op, doubts) for op, doubts in ops.items()]


def _doubt_row(op: str, doubts: list[tuple[str, Doubt]]) -> tuple[str, ...]:
    first = doubts[0][1]
    often = f" and {first.count - 1} more" if first.count > 1 else ""
    verdicts: dict[str, list[str]] = {}
    for runtime, doubt in doubts:
        why = f" ({doubt.support.why})" if doubt.support.why else ""
        verdicts.setdefault(str(doubt.support.verdict), []).append(f"{runtime}{why}")
    said = "\n".join(f"{verdict}: {', '.join(names)}" for verdict, names in verdicts.items())
    becomes = {runtime: ", ".join(doubt.becomes) for runtime, doubt in doubts if doubt.becomes}
    offers = [*(f"{runtime}: {ops}" for runtime, ops in becomes.items()), *_replacements(op)]
    return (op.split(".")[1], f"{first.place}{often}", said, "\n".join(offers) or "-")


def _replacements(op: str) -> list[str]:
    """What could stand in its place on request, mostly with other answers."""
    from pocketfit.graph.replacements import REPLACEMENTS

    return [f"pocketfit optimize --replace {one.name}" for one in REPLACEMENTS if op in map(str, one.targets)]


def _delegate_row(one: Outlook, two: DelegateOutlook) -> tuple[str, ...]:
    ops = f"{len(two.partitions.delegated)} of {one.ops}"
    fallback = ", ".join(two.fallback_ops) or "-"
    return (f"{one.runtime} {two.delegate}", fallback, ops, f"{two.macs_share:.0%}", str(two.partitions.count))
