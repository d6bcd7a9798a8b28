"""What each layer of a model takes on one phone, in the way that suits the model best there."""

from __future__ import annotations

from collections.abc import Mapping

from pocketfit.devices.predict.demands import demands_of
from pocketfit.devices.predict.predict import ModelNeeds, estimate, layer_ms, model_needs
from pocketfit.devices.predict.speeds import Estimate
from pocketfit.devices.profile import Profile, Target
from pocketfit.errors import OptionError
from pocketfit.inspection.cost import inspect_model
from pocketfit.types import LoadedModel

__all__ = ["check_speeds", "fastest", "layer_times", "needs_of", "whole"]


def needs_of(model: LoadedModel) -> ModelNeeds:
    """What predictions are made from."""
    return model_needs(demands_of(model), inspect_model(model))


def check_speeds(profile: Profile) -> None:
    """Refuse a phone on which nothing can be predicted.

    Raises:
        OptionError: the profile knows no way to run anything.
    """
    if not profile.targets:
        raise OptionError(f"No speeds are known of {profile.name}. `pocketfit devices` says of which they are.")


def fastest(model: LoadedModel, profile: Profile) -> Target:
    """The way to run a model that is predicted to be the fastest on a phone.

    Raises:
        OptionError: the profile knows no way to run anything.
    """
    check_speeds(profile)
    needs = needs_of(model)
    return min(profile.targets, key=lambda target: estimate(needs, target).ms)


def layer_times(model: LoadedModel, target: Target) -> Mapping[str, float]:
    """Predicted milliseconds of the layers, by their node's name."""
    needs = needs_of(model)
    return {one.name: ms for one, ms in zip(needs.demands, layer_ms(needs, target), strict=True)}


def whole(model: LoadedModel, target: Target) -> Estimate:
    """Predicted latency of one inference."""
    return estimate(needs_of(model), target)
