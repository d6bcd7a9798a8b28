"""The runtimes and precisions that a search chooses from."""

from __future__ import annotations

from collections.abc import Iterator

from pocketfit.devices.predict.layers import needs_of
from pocketfit.devices.profile import Profile
from pocketfit.errors import OptionError
from pocketfit.pipeline import FitRequest
from pocketfit.runtimes import all_runtimes, get_runtime, is_installed, require, require_here, runs_here
from pocketfit.search.latency import predicted_ms
from pocketfit.search.space import Deployment
from pocketfit.types import LoadedModel, Runtime

__all__ = ["deployments"]


def deployments(
    request: FitRequest, device: Profile | None, model: LoadedModel
) -> tuple[tuple[Deployment, ...], tuple[str, ...]]:
    """What can be proved here and, where latency is predicted, is known of the device.

    Returns:
        The deployments, and what was left out, in plain sentences.

    Raises:
        OptionError: nothing is known of any of them on the device.
        RuntimeMissing: a runtime that the user named is not installed, or does not run here.
    """
    found = [one for runtime in _runtimes(request) for one in _of(runtime, request)]
    if device is None:
        return tuple(found), ()
    needs = needs_of(model)
    known = tuple(one for one in found if predicted_ms(needs, device, one) is not None)
    if not known:
        there = ", ".join(sorted({f"{target.runtime} {target.precision}" for target in device.targets}))
        raise OptionError(
            f"--latency: of {device.name} no speed is known for {', '.join(map(str, found))}. Known are: {there}. "
            "Choose among them with --targets and --precisions, or another device."
        )
    missing = [str(one) for one in found if one not in known]
    left_out = f"left out, because no speed of {device.name} is known for it: {', '.join(missing)}"
    return known, (left_out,) if missing else ()


def _runtimes(request: FitRequest) -> list[Runtime]:
    if request.targets is None:
        return [one for one in all_runtimes() if is_installed(one) and runs_here(one)]
    asked = [get_runtime(name) for name in dict.fromkeys(request.targets)]
    for runtime in asked:
        require(runtime)
        require_here(runtime)
    return asked


def _of(runtime: Runtime, request: FitRequest) -> Iterator[Deployment]:
    info = runtime.info
    return (Deployment(info.name, one) for one in request.precisions if one in info.precisions)
