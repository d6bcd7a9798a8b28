"""`pocketfit fit`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    Data,
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
    Weights,
    assign_options,
    check_count,
    check_file,
    check_one_of,
    parse_names,
    parse_shape,
)
from pocketfit.cli.search import (
    LatencyOption,
    RayAddress,
    SearchOptions,
    Storage,
    Strategy,
    Timeout,
    Trials,
    Workers,
    run_search,
    wants_search,
)
from pocketfit.errors import BudgetMissed, OptionError

if TYPE_CHECKING:
    from pocketfit.pipeline import FitRequest
    from pocketfit.policy import Policy
    from pocketfit.search.field import Tier
    from pocketfit.types import FitResult, Precision

__all__ = ["fit", "run_fit", "show_intentions"]


def fit(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle; an older bundle there is replaced.")],
    weights: Weights = None,
    input_shape: InputShape = None,
    max_drop: Annotated[
        str | None,
        typer.Option(
            help="Drop allowed, in percentage points: 1%, 0.5; or in the metric's unit: 0.1dB. Without it, 1% or 0.5dB."
        ),
    ] = None,
    max_size: Annotated[str | None, typer.Option(help="Size allowed: 4MB, 350kB, 1.5MiB.")] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Memory allowed that opening and running adds, measured on this host: 64MB.")
    ] = None,
    targets: Targets = None,
    ios_target: IosTarget = None,
    compute_units: ComputeUnits = None,
    delegates: Delegates = None,
    batch: Batch = None,
    precisions: Annotated[str, typer.Option(help="Precisions to try, joined by commas.")] = "float32,float16,int8",
    prefer: Annotated[str, typer.Option(help="Among what fits the budget: size or latency.")] = "size",
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
    tiers: Annotated[
        str | None, typer.Option(help="Say what suits which phone: high, mid, low, joined by commas. Predicted.")
    ] = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="Pack every artifact, not only the chosen.")] = False,
    policy: Annotated[
        str | None, typer.Option(help="Put a policy.json into the bundle, or default: which artifact runs when.")
    ] = None,
    report: Report = None,
    strategy: Strategy = "all",
    latency: LatencyOption = None,
    trials: Trials = 40,
    timeout: Timeout = None,
    workers: Workers = None,
    ray: RayAddress = None,
    storage: Storage = None,
    cache: Cache = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model into a phone: plan once, convert to every runtime, prove, choose, pack.

    Example: pocketfit fit net.py:build --weights net.pth --data photos --max-drop 1% -o bundle
    """
    from pocketfit.data.options import parse_postprocess, parse_preprocess
    from pocketfit.pipeline import FitRequest
    from pocketfit.search.budget import parse_bytes, parse_max_drop
    from pocketfit.types import Budget
    from pocketfit.verify.metrics import find_metric

    check_file("--report", report)
    check_one_of("--prefer", prefer, ("size", "latency"), "a preference")
    check_count("--calibration-samples", calibration_samples)
    check_count("--evaluation-samples", evaluation_samples)
    names = None if targets is None else parse_names("--targets", targets, "`pocketfit runtimes` lists them.")
    judged = find_metric(metric)
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
        budget=Budget(
            max_drop_points=None if max_drop is None else parse_max_drop(max_drop, judged.info.unit),
            max_size_bytes=None if max_size is None else parse_bytes("--max-size", max_size),
            max_memory_bytes=None if max_memory is None else parse_bytes("--max-memory", max_memory),
        ),
        targets=names,
        options=assign_options(
            names, {"ios-target": ios_target, "compute-units": compute_units, "batch": batch}, delegates
        ),
        precisions=_precisions(precisions),
        prefer="size" if prefer == "size" else "latency",
        calibration_samples=calibration_samples,
        evaluation_samples=evaluation_samples,
        keep_all=keep_all,
        cache=cache,
        tiers=() if tiers is None else _tiers(tiers),
        policy=_policy(policy),
    )
    asked = SearchOptions(metric, latency, trials, timeout, workers, ray, storage)
    if wants_search(strategy, asked):
        if policy is not None:
            raise OptionError("A search ends with one artifact. Leave --policy out; `pocketfit bundle join` takes one.")
        run_search(request, asked, dry_run=dry_run, as_json=as_json, report=report)
    elif dry_run:
        show_intentions(request)
    else:
        run_fit(request, as_json=as_json, report=report)


def run_fit(request: FitRequest, *, as_json: bool, report: Path | None = None) -> None:
    """Run a request with progress on standard error and its result on standard output.

    Raises:
        BudgetMissed: the run is complete and nothing fits the budget.
    """
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.pipeline import fit as run

    with Progress(Console(stderr=True)) as progress:
        result = run(request, progress)
    _show(result, as_json)
    if report is not None:
        _write_report(result, report)
    if not any(choice.precision for choice in result.choices) and not _only_converted(result, request):
        kept = f"The best is kept in {request.out}" if request.rescue and request.out else "No bundle was written"
        raise BudgetMissed(f"{_why_nothing(result)}. {kept}")
    if not as_json:
        typer.echo(f"\nBundle: {request.out} (report.html inside). Check it anywhere: pocketfit verify {request.out}")


def _only_converted(result: FitResult, request: FitRequest) -> bool:
    """Whether what was asked for does not run here, and was packed without having been run."""
    from pocketfit.runtimes import get_runtime, runs_here

    if request.targets is None or any(runs_here(get_runtime(name)) for name in request.targets):
        return False
    return any(candidate.not_run for candidate in result.candidates)


def _why_nothing(result: FitResult) -> str:
    if any(candidate.evidence for candidate in result.candidates):
        return "nothing fits the budget; the table above says how far off each is"
    return "no runtime gave an artifact that runs here; the table above says why"


def _show(result: FitResult, as_json: bool) -> None:
    from pocketfit.cli.output import console
    from pocketfit.report.summary import as_json as to_json
    from pocketfit.report.terminal import print_fit

    if as_json:
        typer.echo(to_json(result))
    else:
        print_fit(result, console())


def _write_report(result: FitResult, path: Path) -> None:
    from pocketfit.report.html import write_html

    write_html(result, path)


def show_intentions(request: FitRequest) -> None:
    """Print what a request would do."""
    from pocketfit.pipeline import intentions

    for line in intentions(request):
        typer.echo(line)


def _policy(text: str | None) -> Policy | Literal["default"] | None:
    from pocketfit.policy import read_policy

    if text is None or text == "default":
        return "default" if text else None
    return read_policy(Path(text))


def _tiers(text: str) -> tuple[Tier, ...]:
    from pocketfit.search.field import TIERS

    names = parse_names("--tiers", text, f"There are {', '.join(TIERS)}.")
    for name in names:
        check_one_of("--tiers", name, TIERS, "a tier")
    return tuple(tier for tier in TIERS if tier in names)


def _precisions(text: str) -> tuple[Precision, ...]:
    from pocketfit.types import Precision

    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in list(Precision)]
    if wrong or not names:
        raise OptionError(f"--precisions {text!r} is not a list of precisions. Allowed: {', '.join(Precision)}.")
    return tuple(precision for precision in Precision if precision in names)
