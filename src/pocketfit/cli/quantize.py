"""`pocketfit quantize`: INT8 that answers as the float model does, repaired step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import (
    Antialias,
    AsJson,
    Batch,
    Cache,
    CalibrationSamples,
    Color,
    ComputeUnits,
    Crop,
    Delegates,
    DryRun,
    Embed,
    EvaluationSamples,
    Fill,
    InputShape,
    IosTarget,
    Kernel,
    Layout,
    LetterboxSize,
    Mean,
    MetricName,
    Model,
    Postprocess,
    Preprocess,
    Report,
    Resize,
    Scale,
    Std,
    Targets,
    TrainingRay,
    TrainingWorkers,
    Weights,
    assign_options,
    check_count,
    check_file,
    check_one_of,
    parse_names,
    parse_shape,
    place_of_training,
)
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.compress.quantize.qat import TrainingRecipe
    from pocketfit.compress.quantize.recipe import Recipe
    from pocketfit.compress.training.loop import Learn

__all__ = ["quantize"]


def quantize(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle; an older bundle there is replaced.")],
    data: Annotated[
        str | None, typer.Option(help="As for `fit`. Without it, INT8 from batch-norm statistics, accuracy unknown.")
    ] = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    max_drop: Annotated[
        str | None,
        typer.Option(help="Where the ladder ends: a drop in percentage points, or the metric's unit. Without it, 0.5."),
    ] = None,
    min_agreement: Annotated[
        str | None, typer.Option(help="Share of answers that must be the float model's as well: 98.5% or 0.985.")
    ] = None,
    weight_bits: Annotated[int, typer.Option(help="8 or 4; depthwise layers and the first one keep 8.")] = 8,
    activation_bits: Annotated[int, typer.Option(help="8; 16; or 32 for weights only.")] = 8,
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="One scale a weight, for hardware that knows no more.")
    ] = False,
    levels: Annotated[
        str, typer.Option(help="What a weight may be: linear (any integer), or power-of-two (0, ±1, ±2, … ±64).")
    ] = "linear",
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Linear layers take the range of their input from each sample.")
    ] = False,
    ranges: Annotated[str, typer.Option(help="Of activations, to begin with: mse, min-max, percentile, kl.")] = "mse",
    spare: Annotated[
        str | None, typer.Option(help="Layers or modules to leave in float, joined by commas: stem,blocks.3.se.")
    ] = None,
    train: Annotated[
        int | None,
        typer.Option(metavar="EPOCHS", help="Train the weights too when all else was not enough; so many epochs."),
    ] = None,
    train_data: Annotated[
        str | None, typer.Option(help="What to train on, as --data. Without it, the unlabelled calibration samples.")
    ] = None,
    ray: TrainingRay = None,
    workers: TrainingWorkers = None,
    prefer: Annotated[str, typer.Option(help="What mixed precision is to save: size or latency.")] = "size",
    targets: Targets = None,
    ios_target: IosTarget = None,
    compute_units: ComputeUnits = None,
    delegates: Delegates = None,
    batch: Batch = None,
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
    postprocess: Postprocess = None,
    embed: Embed = False,
    metric: MetricName = "top-1",
    calibration_samples: CalibrationSamples = 100,
    evaluation_samples: EvaluationSamples = None,
    report: Report = None,
    cache: Cache = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Quantize a model and repair what breaks, step by step, until the accuracy drop is within the target.

    Ranges, equalization, bias correction, GPTQ, AdaRound, mixed precision, training: each step is judged on held-out
    samples and kept only if it helps. The best is packed even when the target is missed; the exit code then is 3.

    Example: pocketfit quantize net.py:build --weights net.pth --data photos --max-drop 0.5% -o bundle
    """
    from pocketfit.cli.fit import run_fit, show_intentions
    from pocketfit.compress.quantize.ladder import Target
    from pocketfit.data.options import parse_postprocess, parse_preprocess
    from pocketfit.pipeline import FitRequest
    from pocketfit.rescuing import Rescue
    from pocketfit.search.budget import parse_max_drop
    from pocketfit.types import Budget, Precision
    from pocketfit.verify.metrics import find_metric

    check_file("--report", report)
    check_one_of("--prefer", prefer, ("size", "latency"), "a preference")
    check_count("--calibration-samples", calibration_samples)
    check_count("--evaluation-samples", evaluation_samples)
    judged = find_metric(metric)
    if max_drop is None and judged.info.unit not in ("%", "dB"):
        raise OptionError(f"{judged.name} has no unit in which a drop is small. Give --max-drop, a number.")
    points = parse_max_drop(max_drop or "0.5", judged.info.unit)
    names = None if targets is None else parse_names("--targets", targets, "`pocketfit runtimes` lists them.")
    request = FitRequest(
        model=model,
        data=data,
        out=out,
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
        postprocess=parse_postprocess(postprocess),
        embed_preprocessing=embed,
        metric=judged,
        budget=Budget(max_drop_points=None if data is None else points),
        targets=names,
        options=assign_options(
            names, {"ios-target": ios_target, "compute-units": compute_units, "batch": batch}, delegates
        ),
        precisions=(Precision.FLOAT32, Precision.INT8),
        prefer="size" if prefer == "size" else "latency",
        calibration_samples=calibration_samples,
        evaluation_samples=evaluation_samples,
        cache=cache,
        rescue=Rescue(
            target=Target(points, 0.0 if min_agreement is None else _share(min_agreement)),
            recipe=_recipe(weight_bits, activation_bits, per_tensor, ranges, levels),
            dynamic=dynamic,
            spare=frozenset()
            if spare is None
            else frozenset(parse_names("--spare", spare, "`pocketfit inspect` lists them.")),
            per="size" if prefer == "size" else "latency",
            training=None if train is None else _training(train),
            learn=_place(train, ray, workers),
            training_data=train_data,
        ),
    )
    if dry_run:
        show_intentions(request)
    else:
        run_fit(request, as_json=as_json, report=report)


def _training(epochs: int) -> TrainingRecipe:
    from pocketfit.compress.quantize.qat import TrainingRecipe, Trains

    check_count("--train", epochs)
    return TrainingRecipe(epochs=epochs, trains=Trains.EVERYTHING)


def _place(epochs: int | None, ray: str | None, workers: int | None) -> Learn:
    if epochs is None and ray is not None:
        raise OptionError(f"--ray {ray} says where a training is. Give --train EPOCHS, too.")
    return place_of_training(ray, workers)


def _share(text: str) -> float:
    try:
        share = float(text.rstrip("% ")) / (100 if text.rstrip().endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise OptionError(
            f"--min-agreement {text!r} is not a share. Allowed: 0% to 100%, or 0 to 1; for example 98.5%."
        )
    return share


def _recipe(weight_bits: int, activation_bits: int, per_tensor: bool, ranges: str, levels: str) -> Recipe:
    from pocketfit.compress.quantize.ranges import Ranges
    from pocketfit.compress.quantize.recipe import Granularity, Levels, Recipe

    if weight_bits not in (4, 8):
        raise OptionError(f"--weight-bits {weight_bits} cannot be deployed. Allowed: 8, 4.")
    if activation_bits not in (8, 16, 32):
        raise OptionError(f"--activation-bits {activation_bits} cannot be deployed. Allowed: 8, 16, 32.")
    check_one_of("--ranges", ranges, Ranges, "a method")
    check_one_of("--levels", levels, Levels, "one")
    return Recipe(
        levels=Levels(levels),
        ranges=Ranges(ranges),
        granularity=Granularity.PER_TENSOR if per_tensor else Granularity.PER_CHANNEL,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
    )
