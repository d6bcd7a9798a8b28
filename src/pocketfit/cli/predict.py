"""`pocketfit predict`: latency, memory and energy of a model on phones that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Weights, parse_shape
from pocketfit.cli.output import console, print_json, table
from pocketfit.cli.ways import (
    Devices,
    Every,
    Precision,
    RuntimeName,
    load_needs,
    narrowed_profiles,
    processor,
    target_of,
)
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.devices.predict.elsewhere import Seen
    from pocketfit.devices.predict.predict import ModelNeeds, Prediction
    from pocketfit.devices.profile import Profile

__all__ = ["predict"]

WORDS = ("device", "runtime", "on")
FIGURES = ("predicted", "90 % interval", "memory", "rough energy")
AUTO = "auto"
LAYER_WORDS = ("layer", "op")
LAYER_FIGURES = ("predicted", "share")
NOTE = (
    "All figures are predicted, none was measured. Memory is that of weights and activations, without the "
    "runtime's own; energy is the time at a typical power. `pocketfit devices calibrate` adapts to a phone of yours."
)


def predict(
    model: Model,
    weights: Weights = None,
    input_shape: InputShape = None,
    device: Devices = None,
    every: Every = False,
    runtime: RuntimeName = None,
    precision: Precision = None,
    threads: Annotated[
        str | None, typer.Option(help="On the CPU: a number, or auto. Without it, every count that was measured.")
    ] = None,
    seen: Annotated[
        list[str] | None,
        typer.Option(metavar="DEVICE/RUNTIME/PRECISION=MS", help="Measured on this NPU or another. Repeatable."),
    ] = None,
    layers: Annotated[bool, typer.Option(help="Show what each layer takes of the fastest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict how long a model takes on a phone, with an interval, before owning one.

    From what its layers ask for and how fast phones were measured to do such work. Example: pocketfit predict
    timm:mobilenetv3_small_100 --device xiaomi-mi-11. `pocketfit devices` lists the devices.
    """
    shape = None if input_shape is None else parse_shape(input_shape)
    chosen = _with_counts(narrowed_profiles(device, every, runtime, precision), threads)
    needs = load_needs(model, weights, shape)
    measured = [_seen(text) for text in seen or ()]
    predictions = [
        _predictions(needs, profile, measured, best=threads == AUTO)[: 1 if every else None] for profile in chosen
    ]
    shown = sorted((one for found in predictions for one in found), key=lambda one: one.latency.ms)
    if as_json:
        print_json(_as_json(needs, chosen, shown, layers=layers))
    else:
        _print(needs, chosen, shown, layers=layers)


def _with_counts(profiles: list[Profile], threads: str | None) -> list[Profile]:
    from pocketfit.devices.predict.threads import with_counts

    if threads is None:
        return profiles
    if threads != AUTO and not threads.isdecimal():
        raise OptionError(f"--threads {threads!r} is no count. Give a number, or auto.")
    return [with_counts(one, None if threads == AUTO else int(threads)) for one in profiles]


def _seen(text: str) -> Seen:
    from pocketfit.devices.predict.elsewhere import Seen
    from pocketfit.devices.profile import find_profile

    way, _, ms = text.partition("=")
    device, runtime, precision = way.rsplit("/", 2) if way.count("/") >= 2 else ("", "", "")
    if not device or not ms.replace(".", "", 1).isdecimal() or float(ms) <= 0:
        raise OptionError(f"--seen {text!r} is not DEVICE/RUNTIME/PRECISION=MS, as samsung-galaxy-s24/litert/int8=0.4.")
    return Seen(find_profile(device), runtime, precision, float(ms))


def _predictions(
    needs: ModelNeeds, profile: Profile, measured: Sequence[Seen], *, best: bool
) -> tuple[Prediction, ...]:
    from pocketfit.devices.predict.elsewhere import taken_over
    from pocketfit.devices.predict.predict import predict as predict_one
    from pocketfit.devices.predict.threads import best_counts

    found = taken_over(predict_one(needs, profile), measured, needs)
    return best_counts(found) if best else found


def _as_json(
    needs: ModelNeeds, profiles: Sequence[Profile], shown: Sequence[Prediction], *, layers: bool
) -> dict[str, Any]:
    from pocketfit.devices.predict.predict import layer_shares

    result: dict[str, Any] = {"measured": False, "predicted": [asdict(one) for one in shown]}
    if layers:
        result["layers"] = [asdict(one) for one in layer_shares(needs, target_of(profiles, shown[0]))]
    return result


def _print(needs: ModelNeeds, profiles: Sequence[Profile], shown: Sequence[Prediction], *, layers: bool) -> None:
    from pocketfit.devices.predict.predict import layer_shares
    from pocketfit.search.units import milliseconds

    out = console()
    out.print(table([_row(one) for one in shown], WORDS, FIGURES))
    if layers:
        shares = layer_shares(needs, target_of(profiles, shown[0]))
        rows = [(one.layer, one.op, milliseconds(one.ms), f"{one.share:.1%}") for one in shares]
        out.print(f"\n{shown[0].device}, {target_of(profiles, shown[0])}:", markup=False, highlight=False)
        out.print(table(rows, LAYER_WORDS, LAYER_FIGURES))
    out.print(NOTE, markup=False, highlight=False)


def _row(one: Prediction) -> tuple[str, ...]:
    from pocketfit.search.units import milliseconds, significant, size

    within = f"{milliseconds(one.latency.low_ms)} to {milliseconds(one.latency.high_ms)}"
    figures = (milliseconds(one.latency.ms), within, size(one.memory_bytes), f"{significant(one.energy_mj)} mJ")
    return (one.device, f"{one.runtime} {one.precision}", processor(one), *figures)
