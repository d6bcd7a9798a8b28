"""`pocketfit verify`: does a bundle give the answers it promises, in every runtime installed here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.bundle.options import KeyFile, LeastRelease, PublicKey, trust_of
from pocketfit.cli.options import AsJson, Cache, InputShape, Weights, parse_names, parse_shape
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import OptionError, RuntimeMissing, VerificationFailed
from pocketfit.types import InputShape as Shape

if TYPE_CHECKING:
    from rich.table import Table

    from pocketfit.bundle import Check, LayerCheck, Trust, Verification
    from pocketfit.verify.layers import LayerMatch, Trace

__all__ = ["verify"]

# Layers shown before and after the first that differs.
AROUND = 4

_STYLES = {"passed": "green", "skipped": "yellow", "failed": "red"}


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder written by `pocketfit fit -o`.")],
    runtimes: Annotated[
        str | None, typer.Option(help="Check these only, joined by commas, such as onnxruntime,ncnn.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Find the first layer at which an artifact leaves its plan; needs --model.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="With --layers: the MODEL that `pocketfit fit` was given for this bundle.")
    ] = None,
    public_key: PublicKey = None,
    least_release: LeastRelease = 0,
    key_file: KeyFile = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle's files, replay its golden vectors in every runtime installed, and its preprocessing.

    Example: pocketfit verify out --runtimes onnxruntime,litert

    Example: pocketfit verify out --public-key keys/public.txt --least-release 3

    Example: pocketfit verify out --layers --model net.py:build --weights net.pth
    """
    from pocketfit.bundle import Trust
    from pocketfit.bundle.keys import read_model_key

    trust = trust_of(public_key, least_release)
    wanted = None if runtimes is None else parse_names("--runtimes", runtimes, "`pocketfit runtimes` lists them.")
    if not layers:
        if model is not None:
            raise OptionError(f"--model {model} is used with --layers only. Add --layers, or leave it out.")
        _verify_answers(bundle, wanted, trust, read_model_key(key_file), as_json)
    elif trust != Trust():
        raise OptionError("--layers looks at no signature. Run `pocketfit verify` without it for that.")
    elif model is None:
        raise OptionError("--layers needs the source model, which is not in the bundle. Add --model, as for fit.")
    else:
        shape = None if input_shape is None else parse_shape(input_shape)
        _verify_layers(bundle, wanted, (model, weights, shape), cache, as_json)


def _verify_answers(path: Path, runtimes: Sequence[str] | None, trust: Trust, key: bytes | None, as_json: bool) -> None:
    from rich.console import Console

    from pocketfit.bundle import verify_bundle

    with Console(stderr=True).status("Checking the files") as status:
        result = verify_bundle(
            path, runtimes=runtimes, progress=lambda name: status.update(f"Running {name}"), trust=trust, key=key
        )
    if as_json:
        print_json(_as_data(result))
    else:
        _show(result)
        _tell_signature(path, trust)
    _conclude(result)


def _tell_signature(path: Path, trust: Trust) -> None:
    from pocketfit.bundle.manifest import SIGNATURE

    if trust.public_key is not None:
        typer.echo(f"signed by {trust.public_key.hex()}")
    elif (path / SIGNATURE).exists():
        typer.echo("signed, which was not looked at; give --public-key")


def _conclude(result: Verification) -> None:
    from pocketfit.bundle import Outcome

    for one in result.variants:
        if one.preprocess is not None and one.preprocess.outcome is Outcome.FAILED:
            raise VerificationFailed(
                f"the preprocessing in {one.path} does not give what was written with it: {one.preprocess.reason}. "
                "Run `pocketfit fit` again, and report it if this Pocketfit wrote the bundle"
            )
    if failed := result.with_outcome(Outcome.FAILED):
        names = ", ".join(f"{check.runtime} {check.precision}" for check in failed)
        count = sum(len(one.checks) for one in result.variants)
        raise VerificationFailed(
            f"{len(failed)} of {count} artifacts in {result.path} failed: {names}. "
            "Do not ship them; run `pocketfit fit` again"
        )
    if not result.with_outcome(Outcome.PASSED):
        raise RuntimeMissing(f"nothing in {result.path} could be run here; see the reasons above")


def _show(result: Verification) -> None:
    out = console()
    named = f" ({result.name})" if result.name else ""
    out.print(f"{result.path}{named}: {result.files} files intact", markup=False, highlight=False)
    out.print(_table(result))
    if (preprocess := result.preprocess) is not None:
        said = preprocess.reason or f"{preprocess.vectors} vectors of it give the same bits here"
        out.print(f"preprocessing {preprocess.outcome}: {said}", markup=False, highlight=False)
    for check in result.checks:
        for said in filter(None, (check.reason, check.delegate)):
            out.print(f"{check.runtime} {check.precision}: {said}", markup=False, highlight=False)
    for other in result.others:
        out.print()
        _show(other)


def _table(result: Verification) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("runtime", "precision"):
        table.add_column(title)
    for title in ("max error", "tolerance", "agreement"):
        table.add_column(title, justify="right")
    table.add_column("outcome")
    for check in result.checks:
        table.add_row(*_cells(check))
    return table


def _cells(check: Check) -> tuple[str, ...]:
    return (
        check.runtime,
        check.precision,
        "-" if check.max_error is None else f"{check.max_error:.2g}",
        f"{check.tolerance:.2g}",
        "-" if check.agreement is None else f"{100 * check.agreement:.0f}%",
        f"[{_STYLES[check.outcome]}]{check.outcome}[/]",
    )


def _as_data(result: Verification) -> dict[str, Any]:
    """As JSON has it: an infinite error is null, and then the reason says so."""
    checks = [asdict(check) for check in result.checks]
    for check in checks:
        if check["max_error"] is not None and not math.isfinite(check["max_error"]):
            check["max_error"] = None
    preprocess = None if result.preprocess is None else asdict(result.preprocess)
    data = {"path": str(result.path), "files": result.files, "checks": checks, "preprocess": preprocess}
    return data | {"variant": result.name, "others": [_as_data(other) for other in result.others]}


def _verify_layers(
    path: Path,
    runtimes: Sequence[str] | None,
    source: tuple[str, Path | None, Shape | None],
    cache: Path | None,
    as_json: bool,
) -> None:
    from rich.console import Console

    from pocketfit.bundle import verify_layers
    from pocketfit.models.load import load_model
    from pocketfit.store import Store, default_cache

    spec, weights, shape = source
    with Console(stderr=True).status("Loading the model") as status:
        model = load_model(spec, weights=weights, input_shape=shape)
        checks = verify_layers(
            path,
            model,
            Store(cache or default_cache()),
            runtimes=runtimes,
            progress=lambda name: status.update(f"Running {name}"),
        )
    if as_json:
        print_json([_layers_as_data(check) for check in checks])
    else:
        _show_layers(checks)
    _conclude_layers(path, checks)


def _conclude_layers(path: Path, checks: Sequence[LayerCheck]) -> None:
    from pocketfit.bundle import Outcome

    if failed := [f"{check.runtime} {check.precision}" for check in checks if check.outcome is Outcome.FAILED]:
        raise VerificationFailed(f"{len(failed)} of {len(checks)} artifacts in {path} failed: {', '.join(failed)}")
    if not any(check.outcome is Outcome.PASSED for check in checks):
        raise RuntimeMissing(f"nothing in {path} could be run here; see the reasons above")


def _show_layers(checks: Sequence[LayerCheck]) -> None:
    out = console()
    words, figures = ("runtime", "precision", "worst layer", "outcome"), ("layers", "its SQNR", "whole answer")
    out.print(table([_summary(check) for check in checks], words, figures))
    for check in checks:
        if check.reason:
            out.print(f"\n{check.runtime} {check.precision}: {check.reason}", markup=False, highlight=False)
        if check.trace is not None and check.trace.first is not None:
            titles = ("", "layer", "op", "module", "tensor in the artifact")
            out.print(table(_around(check.trace, check.trace.first), titles, ("SQNR", "max error")))


def _summary(check: LayerCheck) -> tuple[str, ...]:
    trace = check.trace
    if trace is None or trace.worst is None:
        return check.runtime, check.precision, "-", check.outcome, "-", "-", "-"
    figures = (str(len(trace.layers)), _decibel(trace.worst.sqnr_db), _decibel(trace.answer_db))
    return check.runtime, check.precision, trace.worst.name, check.outcome, *figures


def _around(trace: Trace, first: LayerMatch) -> list[tuple[str, ...]]:
    """The layers around the first that differs, which is marked."""
    middle = trace.layers.index(first)
    shown = trace.layers[max(0, middle - AROUND) : middle + AROUND + 1]
    return [
        (
            "first" if layer is first else "",
            *(layer.name, layer.op, layer.source, layer.tensor),
            *(_decibel(layer.sqnr_db), f"{layer.max_error:.2g}"),
        )
        for layer in shown
    ]


def _decibel(value: float) -> str:
    return f"{value:.1f} dB" if math.isfinite(value) else ("equal" if value > 0 else "nothing in common")


def _layers_as_data(check: LayerCheck) -> dict[str, Any]:
    """As JSON has it: an infinite figure is null; `first` is the index of the first layer that differs."""
    data = asdict(check)
    if check.trace is not None:
        first = check.trace.first
        data["trace"]["first"] = None if first is None else check.trace.layers.index(first)
        for figures in (data["trace"], *data["trace"]["layers"]):
            figures |= {name: None for name, value in figures.items() if value in (math.inf, -math.inf)}
    return data
