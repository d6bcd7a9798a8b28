"""`pocketfit slim`: layers in a cheaper form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import (
    AsJson,
    Cache,
    Color,
    Crop,
    DryRun,
    EvaluationSamples,
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
    Weights,
    check_count,
    check_file,
    check_one_of,
    parse_shape,
)
from pocketfit.cli.output import console, table
from pocketfit.cli.prune import Train, TrainData, run_and_tell, schedule, show_layers
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.compress.compact.recipe import CompactRecipe
    from pocketfit.compress.compact.resolution import ResolutionRecipe
    from pocketfit.compress.prune.recipe import ChannelRecipe
    from pocketfit.pruning import PruneResult

__all__ = ["slim"]

LOW_RANK, WIDTH, RESOLUTION = "low-rank", "width", "resolution"


def slim(
    model: Model,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the slim model, as a .pt2 file for `pocketfit fit`.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="As for `fit`: the new layers are fitted to unlabelled samples; labels say what was lost."),
    ] = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    form: Annotated[
        str | None,
        typer.Option(
            help="low-rank: a layer as two thin ones (the default). separable: as a depthwise and a pointwise one. "
            "width: fewer channels in every layer. resolution: smaller images."
        ),
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(help="Resolution: the new side of the images in pixels, or height x width.")
    ] = None,
    width: Annotated[float, typer.Option(help="Width: share of every layer's channels that stays.")] = 0.75,
    macs: Annotated[
        float, typer.Option(help="Low rank: share of the multiply-accumulates of layers that may stay.")
    ] = 0.5,
    round_to: Annotated[int, typer.Option(help="Low rank and width: ranks, or channels, are a multiple of this.")] = 8,
    samples: Annotated[int, typer.Option(help="Unlabelled samples to fit the new layers to.")] = 512,
    train: Train = None,
    train_data: TrainData = None,
    features: Features = None,
    ray: TrainingRay = None,
    workers: TrainingWorkers = None,
    evaluation_samples: EvaluationSamples = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Time both models in ONNX Runtime on this host.")
    ] = True,
    resize: Resize = None,
    crop: Crop = None,
    color: Color = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    preprocess: Preprocess = None,
    cache: Cache = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write a model's layers in a cheaper form; the result is an ordinary torch.export file.

    Low rank keeps the directions in which a layer's answers vary; separable is what MobileNets are made of, and a model
    that was not trained so loses much until it is trained again.
    Width keeps the same share of channels everywhere, the most important ones where --data says which they are.
    Resolution leaves layers and weights alone; the file says how the smaller images are to be prepared.
    Example: pocketfit slim net.py:build --weights net.pth --data photos --macs 0.6 -o slim.pt2
    """
    from pocketfit.data.options import parse_preprocess
    from pocketfit.pruning import PruneRequest

    check_file("--out", out, ".pt2")
    check_count("--samples", samples)
    check_count("--evaluation-samples", evaluation_samples)
    check_count("--round-to", round_to)
    request = PruneRequest(
        model=model,
        recipe=_recipe(_form(form, resolution), resolution, macs, width, round_to, data),
        out=out,
        data=data,
        weights=weights,
        input_shape=None if input_shape is None else parse_shape(input_shape),
        preprocess=parse_preprocess(
            resize=resize, crop=crop, color=color, scale=scale, mean=mean, std=std, file=preprocess
        ),
        schedule=schedule(1, train, features, ray, workers),
        training_data=train_data,
        samples=samples,
        evaluation_samples=evaluation_samples,
        measure=measure,
        dry_run=dry_run,
        cache=cache,
    )
    run_and_tell(request, _show, as_json)


def _form(form: str | None, resolution: str | None) -> str:
    """What is meant; a resolution says it all."""
    chosen = form or (LOW_RANK if resolution is None else RESOLUTION)
    if (chosen == RESOLUTION) != (resolution is not None):
        raise OptionError(
            f"--form {chosen} and {'no ' if resolution is None else ''}--resolution do not go together. "
            "Give --resolution 160 alone for smaller images."
        )
    return chosen


def _recipe(
    form: str, resolution: str | None, macs: float, width: float, round_to: int, data: str | None
) -> CompactRecipe | ChannelRecipe | ResolutionRecipe:
    from pocketfit.compress.compact.recipe import CompactRecipe, Form
    from pocketfit.compress.compact.resolution import ResolutionRecipe
    from pocketfit.compress.prune.recipe import ChannelRecipe, Importance
    from pocketfit.data.options import parse_size

    check_one_of("--form", form, (*Form, WIDTH, RESOLUTION), "one")
    if resolution is not None:
        return ResolutionRecipe(parse_size("--resolution", resolution))
    if form != WIDTH:
        return CompactRecipe(Form(form), macs, round_to)
    importance = Importance.L1 if data is None else Importance.OBS
    return ChannelRecipe(importance=importance, round_to=round_to, width=width)


def _show(result: PruneResult) -> None:
    if result.channels:
        show_layers(result)
        return
    if result.resized is not None:
        return
    rows = [
        (one.name, *(f"{number:,}" for number in (*one.parameters, *one.macs)), f"{one.lost:.1%}")
        for one in result.rewritten
    ]
    figures = ("weights", "then", "MACs", "then", "variance lost")
    console().print(table(rows, ("layer",), figures) if rows else "No layer is cheaper in that form.")
