"""`pocketfit nas`: a network designed for the data and the budget."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import (
    AsJson,
    Cache,
    Color,
    Crop,
    InputShape,
    Mean,
    Preprocess,
    Resize,
    Scale,
    Std,
    check_count,
    check_file,
    parse_shapes,
)
from pocketfit.cli.output import console, print_json, table, tell_model
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.nas.design import NasResult

__all__ = ["nas"]


def nas(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the best network, as a .pt2 file for `pocketfit fit`.")
    ] = None,
    train_data: Annotated[
        str, typer.Option(help="As for `fit`, with labels: what the networks learn from. A fifth judges candidates.")
    ] = "digits",
    data: Annotated[
        str | None, typer.Option(help="As for `fit`, with labels: what the chosen network is judged by in the end.")
    ] = None,
    input_shape: InputShape = None,
    max_macs: Annotated[
        float | None, typer.Option(help="Most multiply-accumulates of an inference, such as 2e6.")
    ] = None,
    latency: Annotated[
        str | None, typer.Option(help="Most latency, predicted for a phone: 5ms@xiaomi-mi-11. In place of MACs.")
    ] = None,
    width: Annotated[
        int, typer.Option(help="Channels of the first stage; each further one has half as many more.")
    ] = 16,
    epochs: Annotated[int, typer.Option(help="Passes over the training data.")] = 30,
    trials: Annotated[int, typer.Option(help="Networks to look at.")] = 60,
    resize: Resize = None,
    crop: Crop = None,
    color: Color = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    preprocess: Preprocess = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Design a network: train MobileNets of all depths, widths and kernels at once, and find the best that is allowed.

    The networks share their weights, so that each is there without a training of its own. A run that was killed goes on
    where it stopped. Without --train-data it designs one for scikit-learn's digits.
    Example: pocketfit nas --train-data photos --input 3x32x32 --latency 5ms@xiaomi-mi-11 -o designed.pt2
    """
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.data.options import parse_preprocess, resolve_preprocess
    from pocketfit.devices.predict.limit import parse_latency
    from pocketfit.nas.design import NasRequest, design

    check_file("--out", out, ".pt2")
    for option, count in (("--width", width), ("--epochs", epochs), ("--trials", trials)):
        check_count(option, count)
    if max_macs is not None and latency is not None:
        raise OptionError("--max-macs and --latency are two costs, and one is searched by. Give one of them.")
    changes = parse_preprocess(resize=resize, crop=crop, color=color, scale=scale, mean=mean, std=std, file=preprocess)
    request = NasRequest(
        training_data=train_data,
        data=data,
        out=out,
        input_shape=None if input_shape is None else _only(input_shape),
        preprocess=resolve_preprocess(changes, None),
        width=width,
        epochs=epochs,
        trials=trials,
        max_macs=max_macs,
        latency=None if latency is None else parse_latency(latency),
        cache=cache,
    )
    with Progress(Console(stderr=True)) as progress:
        result = design(request, progress)
    if as_json:
        print_json(asdict(result))
        return
    _show(result)
    tell_model(out)


def _only(text: str) -> tuple[int, ...]:
    first, *more = parse_shapes(text)
    if more:
        raise OptionError(f"--input {text!r} has {len(more) + 1} shapes; a designed network takes one image.")
    return first


def _show(result: NasResult) -> None:
    rows = [(one.architecture, f"{one.cost:,.4g}", f"{one.accuracy:.1f}") for one in result.front]
    out = console()
    out.print(table(rows, ("network",), (result.cost, "top-1")))
    chosen = f"The last one is chosen: {result.parameters:,} parameters, {result.macs:,} MACs"
    judged = ""
    if result.accuracy is not None:
        judged = (
            f", {result.accuracy.value:.2f} % of the held-out samples "
            f"(the largest network {result.accuracy.float_value:.2f} %)"
        )
    out.print(f"{chosen}{judged}.", markup=False, highlight=False)
    out.print(
        f"Found among {result.networks:,} networks that share their weights; top-1 in the table is on training samples "
        "that trained nothing.",
        markup=False,
        highlight=False,
    )
