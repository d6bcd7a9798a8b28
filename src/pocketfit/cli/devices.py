"""`pocketfit devices`: the phones that predictions know, and how to add one's own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson, InputShape, check_file, parse_shape
from pocketfit.cli.output import console, print_json, table
from pocketfit.cli.ways import processor
from pocketfit.errors import DataError, OptionError
from pocketfit.types import InputShape as Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pocketfit.devices.predict.elsewhere import Alike
    from pocketfit.devices.profile import Measurement, Profile, Target

__all__ = ["devices"]

WORDS = ("device", "kind", "tier", "chip", "runtimes", "processors")
FIGURES = ("ways", "latencies")
TARGET_WORDS = ("runtime", "precision", "on", "from")
TARGET_FIGURES = ("latencies", "interval")
MEASURED_WORDS = ("model",)
MEASURED_FIGURES = ("measured", "by the profile")
SUFFIX = ".json"
STAND_INS = 3

devices = typer.Typer(
    help="List the phones that `pocketfit predict` knows, show one, or make a profile of your own.",
    rich_markup_mode=None,
)


@devices.callback(invoke_without_command=True)
def _list(context: typer.Context, as_json: AsJson = False) -> None:
    """List the phones that `pocketfit predict` knows; show one; make a profile of your own.

    Example: pocketfit devices show xiaomi-mi-11
    """
    if context.invoked_subcommand:
        return
    from pocketfit.devices.profile import all_profiles

    profiles = all_profiles()
    if as_json:
        print_json([one.model_dump(mode="json", exclude={"targets"}) for one in profiles])
        return
    out = console()
    out.print(table([_row(one) for one in profiles], WORDS, FIGURES))
    out.print("latencies: how many measured ones the speeds were fitted to.", markup=False, highlight=False)


@devices.command()
def show(
    device: Annotated[str, typer.Argument(help="Name, or a profile's .json file.")], as_json: AsJson = False
) -> None:
    """Show what is known of a phone: hardware, ways to run models, and where it is from.

    Example: pocketfit devices show google-pixel-4
    """
    from pocketfit.devices.predict.elsewhere import most_alike
    from pocketfit.devices.profile import find_profile

    profile = find_profile(device)
    alike = most_alike(profile.name)
    if as_json:
        print_json(profile.model_dump(mode="json") | {"npus_alike": [asdict(one) for one in alike]})
        return
    out = console()
    for line in [*_about(profile), *_about_alike(alike)]:
        out.print(line, markup=False, highlight=False)
    out.print(table([_target_row(one) for one in profile.targets], TARGET_WORDS, TARGET_FIGURES))
    for source in profile.sources:
        out.print(f"source: {source}", markup=False, highlight=False)


@devices.command()
def calibrate(
    like: Annotated[str, typer.Option(help="A device with similar cores, or the phone itself, if it is listed.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The profile to write, a .json file.")],
    measured: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=MS, three times or more. MODEL as elsewhere, or benchncnn:NAME."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--csv", help="The same from a file with columns model and ms.")] = None,
    runtime: Annotated[str, typer.Option(help="That they were measured with.")] = "ncnn",
    precision: Annotated[str | None, typer.Option(help="Of weights and arithmetic, such as float16.")] = None,
    processor: Annotated[str, typer.Option(help="cpu, gpu or npu.")] = "cpu",
    threads: Annotated[int, typer.Option(help="On the CPU.")] = 1,
    input_shape: InputShape = None,
    title: Annotated[str | None, typer.Option(help="What to call the phone.")] = None,
) -> None:
    """Make a profile of your phone from three to six latencies that you measured on it.

    Example: pocketfit devices calibrate --like oneplus-7t --measured benchncnn:mobilenet_v2=9.1
    --measured benchncnn:resnet18=20.4 --measured benchncnn:googlenet=30.3 -o my-phone.json
    """
    from pocketfit.devices.predict.calibrate import calibrated
    from pocketfit.devices.profile import find_profile, write_profile

    check_file("--out", out, SUFFIX)
    shape = None if input_shape is None else parse_shape(input_shape)
    base = find_profile(like)
    target = _chosen(base, runtime, precision, processor, threads)
    pairs = [*map(_pair, measured or ()), *(_pairs_in(file) if file else ())]
    measurements = [_measurement(model, ms, shape, target.processor) for model, ms in pairs]
    profile = calibrated(base, target, measurements, name=_name(out), title=title or out.stem)
    write_profile(profile, out)
    _print_calibrated(profile, out)


def _chosen(profile: Profile, runtime: str, precision: str | None, processor: str, threads: int) -> Target:
    """The one way that the options name."""
    found = [
        one
        for one in profile.targets
        if (one.runtime, one.processor, one.threads) == (runtime, processor, threads)
        and (precision == one.precision or (precision is None and one.precision != "int8"))
    ]
    if not found:
        known = "; ".join(map(str, profile.targets)) or "none"
        raise OptionError(
            f"--like {profile.name} knows nothing of {runtime} {precision or ''} on the {processor.upper()} with "
            f"{threads} threads. It knows: {known}. Name one of these with --runtime, --precision, --processor, "
            "--threads, or give another device."
        )
    return found[0]


def _pair(text: str) -> tuple[str, float]:
    model, _, ms = text.rpartition("=")
    if not model:
        raise OptionError(f"--measured {text!r} is not MODEL=MS. Write for example benchncnn:mobilenet_v2=9.1.")
    return model, _milliseconds(ms, f"--measured {text!r}")


def _pairs_in(path: Path) -> list[tuple[str, float]]:
    import csv

    try:
        rows = list(csv.DictReader(path.read_text().splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--csv {path} cannot be read: {error}. Give a text file.") from error
    if not rows or not {"model", "ms"} <= rows[0].keys():
        raise DataError(f"--csv {path} has no rows with the columns model and ms. Its first line has to name them.")
    return [(row["model"] or "", _milliseconds(row["ms"] or "", f"--csv {path}")) for row in rows]


def _milliseconds(text: str, where: str) -> float:
    try:
        ms = float(text)
    except ValueError:
        ms = 0.0
    if not 0 < ms < float("inf"):
        raise OptionError(f"{where}: {text!r} is no latency. Give milliseconds, a positive number.")
    return ms


def _measurement(model: str, ms: float, shape: Shape | None, processor: str) -> Measurement:
    from pocketfit.devices.predict.references import PREFIX, reference_amounts
    from pocketfit.devices.profile import Measurement

    if not model.startswith(PREFIX):
        amounts = _read(model, shape, processor)
    elif processor == "npu":
        raise OptionError(f"{model} tells of CPUs and GPUs: ncnn runs nothing on NPUs. Give a model as a file.")
    else:
        amounts = reference_amounts(model)
    return Measurement(model=model, ms=ms, amounts=dict(amounts))


def _read(model: str, shape: Shape | None, processor: str) -> Mapping[str, float]:
    from pocketfit.devices.predict.demands import demands_of, total_amounts
    from pocketfit.models.load import load_model

    return total_amounts(demands_of(load_model(model, input_shape=shape)), processor)


def _name(path: Path) -> str:
    """A profile's name from a file's: lower case, words joined by hyphens."""
    words = "".join(one if one.isascii() and one.isalnum() else " " for one in path.stem.lower()).split()
    return "-".join(words) or "my-phone"


def _print_calibrated(profile: Profile, path: Path) -> None:
    from pocketfit.devices.predict.kinds import kinds_of
    from pocketfit.devices.predict.predict import speeds_of
    from pocketfit.devices.predict.speeds import amounts_vector
    from pocketfit.search.units import milliseconds

    target = profile.targets[0]
    speeds, kinds = speeds_of(target), kinds_of(target.processor)
    rows = [
        (one.model, milliseconds(one.ms), milliseconds(speeds.estimate(amounts_vector(one.amounts, kinds)[None]).ms))
        for one in target.measurements
    ]
    out = console()
    out.print(table(rows, MEASURED_WORDS, MEASURED_FIGURES))
    out.print(f"Wrote {path}. Use it: pocketfit predict MODEL --device {path}", markup=False, highlight=False)


def _row(one: Profile) -> tuple[str, ...]:
    runtimes = ", ".join(dict.fromkeys(target.runtime for target in one.targets))
    processors = ", ".join(sorted({target.processor.upper() for target in one.targets}))
    latencies = sum(target.measured for target in one.targets)
    return (one.name, one.kind, one.tier, one.soc, runtimes, processors, str(len(one.targets)), str(latencies))


def _about(profile: Profile) -> list[str]:
    from pocketfit.devices.predict.threads import usual_threads

    cores = ", ".join(f"{one.count} x {one.core} at {one.ghz:g} GHz" for one in profile.clusters)
    memory = f"{profile.memory_gb:g} GB, " if profile.memory_gb else ""
    accelerators = [f"GPU {profile.gpu}" if profile.gpu else "", f"NPU {profile.npu}" if profile.npu else ""]
    return [
        f"{profile.title}: {profile.kind}, {profile.tier} tier, {profile.system}",
        f"{profile.soc}: {cores}; {', '.join(profile.features)}",
        f"memory {memory}{profile.bandwidth_gbps:g} GB/s at its peak",
        *(["; ".join(filter(None, accelerators))] if any(accelerators) else []),
        f"threads to begin with: {usual_threads(profile)}, the big cores, four at most",
    ]


def _about_alike(alike: Sequence[Alike]) -> list[str]:
    """Where to measure for `--seen`, if anything is known of it."""
    names = ", ".join(one.device for one in alike[:STAND_INS])
    return [f"NPUs most alike, to measure on for predict --seen: {names}"] if names else []


def _target_row(one: Target) -> tuple[str, ...]:
    import math

    wide = f"-{1 - math.exp(-1.645 * one.spread):.0%} +{math.exp(1.645 * one.spread) - 1:.0%}"
    source = one.source.partition(":")[0]
    return (one.runtime, one.precision, processor(one), source, str(one.measured), wide)
