"""`pocketfit distill`: a student learns from a teacher."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import (
    AsJson,
    Cache,
    Color,
    Crop,
    Data,
    Features,
    InputShape,
    Mean,
    Model,
    Preprocess,
    Resize,
    Scale,
    Std,
    TrainingRay,
    TrainingWorkers,
    check_count,
    check_file,
    check_one_of,
    feature_loss,
    parse_shape,
    place_of_training,
)
from pocketfit.cli.output import console, print_json, table, tell_model
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.compress.distill import DistillationRecipe
    from pocketfit.distilling import DistillResult, Taught

__all__ = ["distill"]


def distill(
    teacher: Model,
    student: Annotated[
        str, typer.Option(help="What learns: any MODEL, such as zoo:shufflenet_v2_x0_5, or a pruned .pt2 file.")
    ],
    data: Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the student, as a .pt2 file for `pocketfit fit`.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Data to judge by. Without it, a fifth of --data is held back.")
    ] = None,
    teacher_weights: Annotated[Path | None, typer.Option(help="State dict for what the teacher's factory returns.")] = (
        None
    ),
    student_weights: Annotated[
        Path | None, typer.Option(help="State dict for the student's factory. Without it, random weights.")
    ] = None,
    input_shape: InputShape = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 10,
    loss: Annotated[
        str, typer.Option(help="soft, dkd or dist for classes; squared-error for other outputs; automatic.")
    ] = "automatic",
    teacher_warm_up: Annotated[
        float, typer.Option(metavar="EPOCHS", help="Epochs over which the teacher's part of the loss grows; for dkd.")
    ] = 0.0,
    features: Features = None,
    feature_weight: Annotated[float, typer.Option(help="Of the features' part of the loss, beside the answers'.")] = (
        1.0
    ),
    match: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDENT=TEACHER",
            help="Layers to compare, such as layer3=blocks.5. Repeatable; without it, the last of each resolution.",
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Softens both distributions, 1 or more.")] = 4.0,
    teacher_share: Annotated[
        float, typer.Option(help="Of the loss, 0..1, where there are labels; the rest is theirs.")
    ] = 0.7,
    rate: Annotated[float, typer.Option(help="Peak learning rate of AdamW.")] = 1e-3,
    batch: Annotated[int, typer.Option(help="Samples a step.")] = 64,
    accumulate: Annotated[int, typer.Option(help="Compute each step in so many parts, to save memory.")] = 1,
    mixed_precision: Annotated[str, typer.Option(help="no, bf16 or fp16: for GPUs.")] = "no",
    seed: Annotated[int, typer.Option(help="Of the order of the samples.")] = 0,
    ray: TrainingRay = None,
    workers: TrainingWorkers = None,
    logs: Annotated[Path | None, typer.Option(help="Write losses into this folder for TensorBoard.")] = None,
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
    """Train a student to answer as a teacher does, and as the labels say where there are any.

    The teacher answers once and is remembered; a run that was killed goes on from its last checkpoint.
    Example: pocketfit distill big.py:build --teacher-weights big.pth --student zoo:shufflenet_v2_x0_5 --data photos
    -o student.pt2
    """
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.data.options import parse_preprocess
    from pocketfit.distilling import DistillRequest, teach

    check_file("--out", out, ".pt2")
    request = DistillRequest(
        teacher=teacher,
        student=student,
        data=data,
        test_data=test,
        recipe=replace(
            _recipe(epochs, loss, temperature, teacher_share, rate, batch, accumulate, mixed_precision, seed),
            teacher_warm_up=teacher_warm_up,
            features=feature_loss(features),
            feature_weight=feature_weight,
            match=tuple(_pair(one) for one in match or ()),
        ),
        out=out,
        teacher_weights=teacher_weights,
        student_weights=student_weights,
        input_shape=None if input_shape is None else parse_shape(input_shape),
        preprocess=parse_preprocess(
            resize=resize, crop=crop, color=color, scale=scale, mean=mean, std=std, file=preprocess
        ),
        cache=cache,
        logs=logs,
        learn=place_of_training(ray, workers),
    )
    with Progress(Console(stderr=True)) as progress:
        result = teach(request, progress)
    if as_json:
        print_json(asdict(result))
        return
    _show(result)
    tell_model(out)


def _recipe(
    epochs: int,
    loss: str,
    temperature: float,
    teacher_share: float,
    rate: float,
    batch: int,
    accumulate: int,
    mixed_precision: str,
    seed: int,
) -> DistillationRecipe:
    from pocketfit.compress.distill import DistillationRecipe
    from pocketfit.compress.training.recipe import Loss, MixedPrecision

    check_one_of("--loss", loss, Loss, "a loss")
    check_one_of("--mixed-precision", mixed_precision, MixedPrecision, "a precision")
    for option, number in (("--epochs", epochs), ("--batch", batch), ("--accumulate", accumulate)):
        check_count(option, number)
    if not 0 <= teacher_share <= 1:
        raise OptionError(f"--teacher-share {teacher_share:g} is not a share. Give 0 to 1, such as 0.7.")
    return DistillationRecipe(
        epochs=epochs,
        batch=batch,
        accumulate=accumulate,
        weight_rate=rate,
        bias_rate=rate,
        loss=Loss(loss),
        temperature=temperature,
        label_share=1 - teacher_share,
        mixed_precision=MixedPrecision(mixed_precision),
        seed=seed,
    )


def _pair(text: str) -> tuple[str, str]:
    one, equals, other = text.partition("=")
    if not (one and equals and other):
        raise OptionError(f"--match {text!r} names no two layers. Write STUDENT=TEACHER, such as layer3=blocks.5.")
    return one, other


def _show(result: DistillResult) -> None:
    rows = [_row("teacher", result.teacher), _row("student before", result.before), _row("student", result.after)]
    out = console()
    out.print(table(rows, ("", "model"), ("parameters", "MACs", "top-1", "as the teacher")))
    for pair in result.matched:
        out.print(f"Matched {pair}.", markup=False, highlight=False)
    out.print(
        f"{result.steps} steps over {result.samples} samples in {result.seconds:.1f} s; "
        f"the loss went from {result.first_loss:.3g} to {result.last_loss:.3g}.",
        markup=False,
        highlight=False,
    )


def _row(part: str, one: Taught) -> tuple[str, ...]:
    scored = ("-", "-") if one.accuracy is None else (f"{one.accuracy.value:.2f}", f"{one.accuracy.agreement:.1%}")
    return (part, one.name, f"{one.parameters:,}", f"{one.macs:,}", *scored)
