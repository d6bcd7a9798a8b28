"""The latency that is predicted for a model as it is deployed."""

from __future__ import annotations

from pocketfit.devices.predict.predict import ModelNeeds, predict
from pocketfit.devices.profile import Profile
from pocketfit.search.space import Deployment

__all__ = ["predicted_ms"]


def predicted_ms(needs: ModelNeeds, profile: Profile, deployment: Deployment) -> float | None:
    """The fastest way that a profile knows to run a model as it is deployed; None where it knows none."""
    ways = [one for one in predict(needs, profile) if (one.runtime, one.precision) == _key(deployment)]
    return min((one.latency.ms for one in ways), default=None)


def _key(deployment: Deployment) -> tuple[str, str]:
    return deployment.runtime, str(deployment.precision)
