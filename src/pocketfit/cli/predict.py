"""`pocketfit predict`: latency, memory and energy of a model on phones that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.cli.options import AsJson, InputShape, Model, Weights, parse_shape
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import OptionError
from pocketfit.types import InputShape as Shape

if TYPE_CHECKING:
    from pocketfit.devices.predict.predict import ModelNeeds, Prediction
    from pocketfit.devices.profile import Profile, Target

__all__ = ["predict"]

WORDS = ("device", "runtime", "on")
FIGURES = ("predicted", "90 % interval", "memory", "rough energy")
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
    device: Annotated[list[str] | None, typer.Option(help="Name, or a profile's .json file. May be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every device, each with its fastest way.")] = False,
    runtime: Annotated[str | None, typer.Option(help="Only this one, such as ncnn.")] = None,
    precision: Annotated[str | None, typer.Option(help="Only this one: float32, float16, int8, int8x16.")] = None,
    layers: Annotated[bool, typer.Option(help="Show what each layer takes of the fastest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict how long a model takes on a phone, with an interval, before owning one.

    From what its layers ask for and how fast phones were measured to do such work. Example: pocketfit predict
    timm:mobilenetv3_small_100 --device xiaomi-mi-11. `pocketfit devices` lists the devices.
    """
    from pocketfit.devices.profile import all_profiles, find_profile

    shape = None if input_shape is None else parse_shape(input_shape)
    if bool(device) is every:
        raise OptionError("Give either --device NAME, once or more, or --all. `pocketfit devices` lists the names.")
    profiles = list(all_profiles()) if every else [find_profile(name) for name in device or ()]
    chosen = [_narrowed(one, runtime, precision) for one in profiles]
    _check_some(chosen, runtime, precision)

    needs = _needs(model, weights, shape)
    predictions = [found for profile in chosen if (found := _predictions(needs, profile, fastest=every))]
    shown = sorted((one for found in predictions for one in found), key=lambda one: one.latency.ms)
    if as_json:
        print_json(_as_json(needs, chosen, shown, layers=layers))
    else:
        _print(needs, chosen, shown, layers=layers)


def _narrowed(profile: Profile, runtime: str | None, precision: str | None) -> Profile:
    kept = tuple(
        one for one in profile.targets if runtime in (None, one.runtime) and precision in (None, str(one.precision))
    )
    return profile.model_copy(update={"targets": kept})


def _check_some(profiles: Sequence[Profile], runtime: str | None, precision: str | None) -> None:
    if any(one.targets for one in profiles):
        return
    asked = " ".join(word for word in (runtime, precision) if word)
    names = ", ".join(one.name for one in profiles[:3])
    raise OptionError(f"No speeds are known of {asked} on {names}. `pocketfit devices show NAME` says what is known.")


def _needs(model: str, weights: Any, shape: Shape | None) -> ModelNeeds:
    from pocketfit.devices.predict.demands import demands_of
    from pocketfit.devices.predict.predict import model_needs
    from pocketfit.inspection.cost import inspect_model
    from pocketfit.models.load import load_model

    loaded = load_model(model, weights=weights, input_shape=shape)
    return model_needs(demands_of(loaded), inspect_model(loaded))


def _predictions(needs: ModelNeeds, profile: Profile, *, fastest: bool) -> tuple[Prediction, ...]:
    from pocketfit.devices.predict.predict import predict as predict_one

    found = predict_one(needs, profile)
    return found[:1] if fastest else found


def _as_json(
    needs: ModelNeeds, profiles: Sequence[Profile], shown: Sequence[Prediction], *, layers: bool
) -> dict[str, Any]:
    from pocketfit.devices.predict.predict import layer_shares

    result: dict[str, Any] = {"measured": False, "predicted": [asdict(one) for one in shown]}
    if layers:
        result["layers"] = [asdict(one) for one in layer_shares(needs, _target(profiles, shown[0]))]
    return result


def _print(needs: ModelNeeds, profiles: Sequence[Profile], shown: Sequence[Prediction], *, layers: bool) -> None:
    from pocketfit.devices.predict.predict import layer_shares
    from pocketfit.search.units import milliseconds

    out = console()
    out.print(table([_row(one) for one in shown], WORDS, FIGURES))
    if layers:
        shares = layer_shares(needs, _target(profiles, shown[0]))
        rows = [(one.layer, one.op, milliseconds(one.ms), f"{one.share:.1%}") for one in shares]
        out.print(f"\n{shown[0].device}, {_target(profiles, shown[0])}:", markup=False, highlight=False)
        out.print(table(rows, LAYER_WORDS, LAYER_FIGURES))
    out.print(NOTE, markup=False, highlight=False)


def _target(profiles: Sequence[Profile], one: Prediction) -> Target:
    """The target that a prediction is of."""
    key = (one.runtime, one.precision, one.processor, one.threads)
    return next(
        target for profile in profiles if profile.name == one.device for target in profile.targets if target.key == key
    )


def _row(one: Prediction) -> tuple[str, ...]:
    from pocketfit.search.units import milliseconds, significant, size

    threads = f", {one.threads} thread{'s' if one.threads > 1 else ''}" if one.processor == "cpu" else ""
    within = f"{milliseconds(one.latency.low_ms)} to {milliseconds(one.latency.high_ms)}"
    figures = (milliseconds(one.latency.ms), within, size(one.memory_bytes), f"{significant(one.energy_mj)} mJ")
    return (one.device, f"{one.runtime} {one.precision}", f"{one.processor.upper()}{threads}", *figures)
