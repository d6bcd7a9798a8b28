"""What verbs that predict have in common: the devices that are meant, their ways to run models, and the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketfit.errors import OptionError
from pocketfit.types import InputShape as Shape

if TYPE_CHECKING:
    from pocketfit.devices.predict.predict import ModelNeeds, Prediction
    from pocketfit.devices.profile import Profile, Target

__all__ = ["Devices", "Every", "Precision", "RuntimeName", "load_needs", "narrowed_profiles", "processor", "target_of"]

Devices = Annotated[list[str] | None, typer.Option("--device", help="Name, or a profile's .json. May be repeated.")]
Every = Annotated[bool, typer.Option("--all", help="Every device, each with its fastest way.")]
RuntimeName = Annotated[str | None, typer.Option(help="Only this one, such as ncnn.")]
Precision = Annotated[str | None, typer.Option(help="Only this one: float32, float16, int8, int8x16.")]


def narrowed_profiles(
    device: Sequence[str] | None, every: bool, runtime: str | None, precision: str | None
) -> list[Profile]:
    """The devices that the options name, with the ways that they leave.

    Raises:
        OptionError: both or none of devices and all are asked for, or no way is left.
    """
    from pocketfit.devices.profile import all_profiles, find_profile

    if bool(device) is every:
        raise OptionError("Give either --device NAME, once or more, or --all. `pocketfit devices` lists the names.")
    profiles = list(all_profiles()) if every else [find_profile(name) for name in device or ()]
    chosen = [_narrowed(one, runtime, precision) for one in profiles]
    _check_some(chosen, runtime, precision)
    return chosen


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


def load_needs(model: str, weights: Any, shape: Shape | None) -> ModelNeeds:
    """Read the model once for all devices."""
    from pocketfit.devices.predict.layers import needs_of
    from pocketfit.models.load import load_model

    return needs_of(load_model(model, weights=weights, input_shape=shape))


def target_of(profiles: Sequence[Profile], one: Prediction) -> Target:
    """The way to run models that a prediction is of."""
    key = (one.runtime, one.precision, one.processor, one.threads)
    return next(
        target for profile in profiles if profile.name == one.device for target in profile.targets if target.key == key
    )


def processor(one: Prediction | Target) -> str:
    """What computes, such as "CPU, 4 threads"."""
    threads = f", {one.threads} thread{'s' if one.threads > 1 else ''}" if one.processor == "cpu" else ""
    return f"{one.processor.upper()}{threads}"
