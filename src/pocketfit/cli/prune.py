"""`pocketfit prune`: fewer channels, or fewer weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
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
    feature_loss,
    parse_shape,
    place_of_training,
)
from pocketfit.cli.output import console, print_json, table, tell_model
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.compress.prune.recipe import ChannelRecipe
    from pocketfit.compress.prune.rounds import Schedule
    from pocketfit.compress.prune.weights import WeightRecipe
    from pocketfit.devices.predict.limit import LatencyLimit
    from pocketfit.pruning import Predicted, PruneRequest, PruneResult

__all__ = ["Train", "TrainData", "prune", "run_and_tell", "schedule", "show_layers"]

Train = Annotated[
    int | None, typer.Option(metavar="EPOCHS", help="Distill: train by the model as it was; so many epochs a round.")
]
TrainData = Annotated[str | None, typer.Option(help="What to train on, as --data. Without it, the unlabelled samples.")]


def prune(
    model: Model,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the pruned model, as a .pt2 file for `pocketfit fit`.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="As for `fit`; labels only serve to say what was lost. Without it, weights decide."),
    ] = None,
    weights: Weights = None,
    input_shape: InputShape = None,
    macs: Annotated[
        float | None, typer.Option(help="Remove channels until this share of the multiply-accumulates is left: 0.5.")
    ] = None,
    latency: Annotated[
        str | None,
        typer.Option(
            metavar="MS@DEVICE", help="Or until this latency is predicted for a phone of `pocketfit devices`."
        ),
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(help="Set this share of the weights to zero instead, the smallest.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Set weights of a smaller magnitude to zero instead.")] = None,
    pattern: Annotated[
        str | None, typer.Option(metavar="N:M", help="Keep N of every M weights instead, such as 2:4.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Of --sparsity: in each layer by itself, or global.")] = "layer",
    importance: Annotated[
        str | None,
        typer.Option(
            help="Of channels: obs, taylor, norm-scale, geometric-median, l1, l2. By default obs, l1 without data."
        ),
    ] = None,
    allocation: Annotated[
        str | None,
        typer.Option(
            help="The same ratio in every layer (uniform), or where it costs least (global: the default of obs)."
        ),
    ] = None,
    round_to: Annotated[
        int | None,
        typer.Option(
            help="Channels that stay are a multiple of this; 1 for any. By default 8, for --latency on an NPU 32."
        ),
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit/--no-refit", help="Fit the layers that are left to what they gave before.")
    ] = True,
    rounds: Annotated[
        int, typer.Option(help="Prune in so many steps, and train after each where --train is given.")
    ] = 1,
    train: Train = None,
    train_data: TrainData = None,
    features: Features = None,
    ray: TrainingRay = None,
    workers: TrainingWorkers = None,
    samples: Annotated[int, typer.Option(help="Unlabelled samples to judge channels and fit layers with.")] = 512,
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
    """Remove channels from a model, or set weights to zero; the result is an ordinary torch.export file.

    Channels leave with everything that depends on them, and the layers that are left are fitted to unlabelled samples.
    Example: pocketfit prune net.py:build --weights net.pth --data photos --macs 0.5 -o pruned.pt2
    """
    from pocketfit.data.options import parse_preprocess
    from pocketfit.pruning import PruneRequest

    check_file("--out", out, ".pt2")
    check_count("--samples", samples)
    check_count("--evaluation-samples", evaluation_samples)
    check_one_of("--scope", scope, ("layer", "global"), "a scope")
    zeroing = any(one is not None for one in (sparsity, threshold, pattern))
    budgets = [name for name, given in (("--macs", macs), ("--latency", latency)) if given is not None]
    if zeroing and budgets:
        raise OptionError(f"{budgets[0]} removes channels; it goes with none of --sparsity, --threshold and --pattern.")
    if len(budgets) > 1:
        raise OptionError("--macs and --latency are two budgets of channel pruning. Give one of them.")
    recipe: ChannelRecipe | WeightRecipe
    if zeroing:
        recipe = _weight_recipe(sparsity, threshold, pattern, scope)
    else:
        wanted = importance or ("l1" if data is None else "obs")
        recipe = _channel_recipe(0.5 if macs is None else macs, wanted, allocation, round_to, refit)
    request = PruneRequest(
        model=model,
        recipe=recipe,
        out=out,
        data=data,
        weights=weights,
        input_shape=None if input_shape is None else parse_shape(input_shape),
        preprocess=parse_preprocess(
            resize=resize, crop=crop, color=color, scale=scale, mean=mean, std=std, file=preprocess
        ),
        latency=None if latency is None else _limit(latency),
        schedule=schedule(rounds, train, features, ray, workers),
        training_data=train_data,
        samples=samples,
        evaluation_samples=evaluation_samples,
        measure=measure,
        dry_run=dry_run,
        cache=cache,
    )
    run_and_tell(request, show_layers, as_json)


def run_and_tell(request: PruneRequest, show: Callable[[PruneResult], None], as_json: bool) -> None:
    """Make a model smaller with a progress bar, and say in a table or as JSON what became of it."""
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.pruning import prune as run

    with Progress(Console(stderr=True)) as progress:
        result = run(request, progress)
    if as_json:
        print_json(asdict(result))
        return
    show(result)
    out = console()
    out.print(table(_totals(result), ("",), ("before", "after", "")))
    for note in result.notes:
        out.print(note, markup=False, highlight=False)
    tell_model(None if request.dry_run else request.out)


def _limit(text: str) -> LatencyLimit:
    from pocketfit.devices.predict.limit import parse_latency

    limit = parse_latency(text)
    if limit.device is None:
        raise OptionError(
            f"--latency {text} names no phone: pruning is guided by a prediction. Write for example "
            f"{text}@xiaomi-mi-11, or --macs for a budget that depends on no phone."
        )
    return limit


def _channel_recipe(
    macs: float, importance: str, allocation: str | None, round_to: int | None, refit: bool
) -> ChannelRecipe:
    from pocketfit.compress.prune.allocate import Allocation
    from pocketfit.compress.prune.recipe import ChannelRecipe, Importance

    check_one_of("--importance", importance, Importance, "one")
    if allocation is not None:
        check_one_of("--allocation", allocation, Allocation, "one")
    shared = None if allocation is None else Allocation(allocation)
    return ChannelRecipe(macs, Importance(importance), shared, round_to, refit)


def schedule(rounds: int, epochs: int | None, features: str | None, ray: str | None, workers: int | None) -> Schedule:
    """How pruning and training take turns, and where the training takes place.

    Raises:
        OptionError: a number below 1, no such loss or cluster, or either without a training.
    """
    from pocketfit.compress.distill.recipe import DistillationRecipe
    from pocketfit.compress.prune.rounds import Schedule

    check_count("--rounds", rounds)
    check_count("--train", epochs)
    compared = feature_loss(features)
    for option, given, what in (("--features", features, "how a training learns"), ("--ray", ray, "where one is")):
        if epochs is None and given is not None:
            raise OptionError(f"{option} {given} says {what}. Give --train EPOCHS, too.")
    training = None if epochs is None else DistillationRecipe(epochs=epochs, features=compared)
    return Schedule(rounds, training, place_of_training(ray, workers))


def _weight_recipe(sparsity: float | None, threshold: float | None, pattern: str | None, scope: str) -> WeightRecipe:
    from pocketfit.compress.prune.weights import Scope, WeightRecipe

    return WeightRecipe(threshold, sparsity, None if pattern is None else _pattern(pattern), Scope(scope))


def _pattern(text: str) -> tuple[int, int]:
    keep, _, of = text.partition(":")
    if not (keep.isdecimal() and of.isdecimal()):
        raise OptionError(f"--pattern {text!r} is not a pattern. Write N:M for N of every M weights, such as 2:4.")
    return int(keep), int(of)


def show_layers(result: PruneResult) -> None:
    """Print what became of each layer that lost channels, or weights."""
    out = console()
    if result.channels:
        rows = [(one.name, str(one.before), str(one.after)) for one in result.channels]
        out.print(table(rows, ("channels of",), ("before", "after")))
    if result.sparse:
        thin = [(one.name, f"{one.weights:,}", f"{one.zeros / one.weights:.1%}") for one in result.sparse]
        out.print(table(thin, ("layer",), ("weights", "zeros")))


def _totals(result: PruneResult) -> list[tuple[str, str, str, str]]:
    from pocketfit.search.units import milliseconds

    before, after = result.before, result.after
    saved = before.macs != after.macs
    rows = [
        ("MACs", f"{before.macs:,}", f"{after.macs:,}", f"{before.macs / after.macs:.2f}x fewer" if saved else ""),
        ("parameters", _count(before.parameters), _count(after.parameters), ""),
        ("zero weights", _count(before.zeros), _count(after.zeros), ""),
    ]
    if result.resized is not None:
        old_input, new_input = ("x".join(map(str, one)) for one in (result.resized.before, result.resized.after))
        rows.insert(0, ("input", old_input, new_input, ""))
    if result.accuracy is not None:
        drop = result.accuracy
        margin = f"drop {drop.drop_points:.2f} ({drop.drop_low:.2f} to {drop.drop_high:.2f})"
        rows.append((drop.metric, f"{drop.float_value:.2f}", f"{drop.value:.2f}", margin))
    if result.predicted is not None:
        rows.append(_predicted(result.predicted))
    if result.latencies:
        old, new = (latency.median_ms for latency in result.latencies)
        rows.append(("ONNX Runtime, 1 thread", milliseconds(old), milliseconds(new), f"{old / new:.2f}x faster"))
    return rows


def _predicted(found: Predicted) -> tuple[str, str, str, str]:
    from pocketfit.search.units import milliseconds

    name = f"{found.device}, {found.way}, predicted"
    if found.after is None:
        return name, milliseconds(found.before.ms), "-", ""
    margin = f"{milliseconds(found.after.low_ms)} to {milliseconds(found.after.high_ms)}"
    return name, milliseconds(found.before.ms), milliseconds(found.after.ms), margin


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
