"""What a network of the space costs, known before it has weights worth anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pocketfit.devices.predict.layers import check_speeds, needs_of
from pocketfit.devices.predict.predict import predict
from pocketfit.devices.profile import Profile
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.canonical import canonicalise
from pocketfit.nas.architecture import Architecture, Space
from pocketfit.nas.network import ElasticNet
from pocketfit.types import LoadedModel

__all__ = ["Cost", "macs_of", "predicted_latency"]


@dataclass(frozen=True)
class Cost:
    """A figure that should be small.

    Args:
        name: for tables, such as "MACs".
        of: the figure of a network.
        limit: the largest that is allowed; None for any.
    """

    name: str
    of: Callable[[Architecture], float]
    limit: float | None = None


def macs_of(space: Space, limit: float | None = None) -> Cost:
    """Multiply-accumulates of one inference."""
    return Cost("MACs", lambda one: float(inspect_model(_exported(space, one)).macs), limit)


def predicted_latency(space: Space, profile: Profile, limit_ms: float | None = None) -> Cost:
    """Milliseconds on a phone, predicted for the fastest way to run the network there.

    Args:
        space: of the networks.
        profile: of the phone.
        limit_ms: the most that it may take.

    Raises:
        OptionError: the profile knows no way to run anything.
    """
    check_speeds(profile)

    def of(one: Architecture) -> float:
        return predict(needs_of(_exported(space, one)), profile)[0].latency.ms

    return Cost(f"ms on {profile.name}, predicted", of, limit_ms)


def _exported(space: Space, architecture: Architecture) -> LoadedModel:
    return canonicalise(ElasticNet(space, architecture), space.input_shape, name="candidate")
