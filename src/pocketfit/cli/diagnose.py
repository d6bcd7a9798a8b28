"""`pocketfit diagnose`: which ops suffer from INT8, and from what."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.options import (
    Antialias,
    AsJson,
    Cache,
    CalibrationSamples,
    Color,
    Crop,
    Data,
    Fill,
    InputShape,
    Kernel,
    Layout,
    LetterboxSize,
    Mean,
    MetricName,
    Model,
    Preprocess,
    Resize,
    Scale,
    Std,
    Weights,
    check_count,
    check_file,
    check_one_of,
    parse_shape,
)
from pocketfit.cli.output import console, print_json

__all__ = ["diagnose"]

SHOWN = 15


def diagnose(
    model: Model,
    data: Data,
    weights: Weights = None,
    input_shape: InputShape = None,
    scheme: Annotated[
        str, typer.Option(help="affine, as ONNX Runtime and LiteRT compute, or symmetric, as ncnn does.")
    ] = "affine",
    plot: Annotated[Path | None, typer.Option(help="Write a page with plots of every op here.")] = None,
    every_op: Annotated[bool, typer.Option("--all", help=f"Show every op, not only the {SHOWN} worst.")] = False,
    resize: Resize = None,
    letterbox: LetterboxSize = None,
    fill: Fill = None,
    kernel: Kernel = None,
    antialias: Antialias = None,
    crop: Crop = None,
    color: Color = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    preprocess: Preprocess = None,
    metric: MetricName = "top-1",
    calibration_samples: CalibrationSamples = 100,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Show which ops suffer from INT8 and why, by simulation; nothing is converted.

    Example: pocketfit diagnose net.py:build --weights net.pth --data photos --plot diagnosis.html
    """
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.data.options import parse_preprocess
    from pocketfit.pipeline import FitRequest, diagnosis
    from pocketfit.report.diagnosis import print_diagnosis, write_diagnosis
    from pocketfit.types import Scheme
    from pocketfit.verify.metrics import find_metric

    check_one_of("--scheme", scheme, Scheme, "one")
    check_file("--plot", plot)
    check_count("--calibration-samples", calibration_samples)
    request = FitRequest(
        model=model,
        data=data,
        weights=weights,
        input_shape=None if input_shape is None else parse_shape(input_shape),
        preprocess=parse_preprocess(
            resize=resize,
            letterbox=letterbox,
            fill=fill,
            kernel=kernel,
            antialias=antialias,
            crop=crop,
            color=color,
            scale=scale,
            mean=mean,
            std=std,
            layout=layout,
            file=preprocess,
        ),
        metric=find_metric(metric),
        calibration_samples=calibration_samples,
        cache=cache,
    )
    with Progress(Console(stderr=True)) as progress:
        found = diagnosis(request, Scheme(scheme), progress)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        print_diagnosis(found, console(), len(found) if every_op else SHOWN)
    if plot is not None:
        write_diagnosis(model, found, plot)
