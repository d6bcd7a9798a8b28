"""What each layer of a model takes on one phone, in the way that suits the model best there."""

from __future__ import annotations

from collections.abc import Mapping

from pocketfit.devices.predict.demands import demands_of
from pocketfit.devices.predict.predict import ModelNeeds, layer_shares, model_needs, speeds_of
from pocketfit.devices.predict.speeds import Estimate
from pocketfit.devices.profile import Profile, Target
from pocketfit.errors import OptionError
from pocketfit.inspection.cost import inspect_model
from pocketfit.types import LoadedModel

__all__ = ["fastest", "layer_times", "whole"]


def fastest(model: LoadedModel, profile: Profile) -> Target:
    """The way to run a model that is predicted to be the fastest on a phone.

    Raises:
        OptionError: the profile knows no way to run anything.
    """
    if not profile.targets:
        raise OptionError(f"No speeds are known of {profile.name}. `pocketfit devices` says of which they are.")
    needs = _needs(model)
    return min(profile.targets, key=lambda target: speeds_of(target).estimate(needs.layers).ms)


def layer_times(model: LoadedModel, target: Target) -> Mapping[str, float]:
    """Predicted milliseconds of the layers, by their node's name."""
    needs = _needs(model)
    shares = layer_shares(needs, target)
    return {demand.name: share.ms for demand, share in zip(needs.demands, shares, strict=True)}


def whole(model: LoadedModel, target: Target) -> Estimate:
    """Predicted latency of one inference."""
    return speeds_of(target).estimate(_needs(model).layers)


def _needs(model: LoadedModel) -> ModelNeeds:
    return model_needs(demands_of(model), inspect_model(model))
