"""A profile of a user's own phone, from a few measurements and a profile of a phone like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.devices.predict.kinds import kinds_of
from pocketfit.devices.predict.predict import speeds_of
from pocketfit.devices.profile import Measurement, Profile, Target
from pocketfit.errors import OptionError

__all__ = ["LEAST", "calibrated"]

LEAST = 3
# Before anything was measured, a phone may differ from the one like it as any two phones do.
NEW_PHONE = (1.0, 0.5, 0.15)
# A way to run models that was not measured, moved as the one that was.
MOVED = (0.25, 0.3, 0.15)


def calibrated(
    like: Profile, measured: Target, measurements: Sequence[Measurement], *, name: str, title: str
) -> Profile:
    """Make a profile of a phone from one like it.

    Ways to run models on other processors are left out: what a CPU takes says nothing of a GPU.

    Args:
        like: a phone with similar cores.
        measured: the way to run models that was measured; one of that profile's.
        measurements: at least three, with those that it already has; of the same model the new one counts.
        name: of the new profile.
        title: likewise.

    Raises:
        OptionError: there are too few measurements, or two of the same model.
    """
    _check_models(measurements)
    models = {one.model for one in measurements}
    together = (*(one for one in measured.measurements if one.model not in models), *measurements)
    _check_count(len(together))
    adapted = measured.model_copy(
        update={
            "doubt": NEW_PHONE,
            "measurements": together,
            "measured": len(together),
            "source": f"{len(together)} measurements of the user's; before them {like.name}",
        }
    )
    change = speeds_of(adapted).log_us - speeds_of(measured).log_us
    others = (one for one in like.targets if one.key != measured.key and one.processor == measured.processor)
    targets = (adapted, *(_moved(one, change, adapted) for one in others))
    return like.model_copy(
        update={"name": name, "title": title, "targets": targets, "sources": (*like.sources, adapted.source)}
    )


def _check_models(measurements: Sequence[Measurement]) -> None:
    models = [one.model for one in measurements]
    if len(set(models)) != len(models):
        twice = next(model for model in models if models.count(model) > 1)
        raise OptionError(f"{twice} was given twice. Give one latency for each model.")


def _check_count(count: int) -> None:
    if count < LEAST:
        raise OptionError(
            f"{count} measurement{'s' if count != 1 else ''} cannot tell a phone's speeds apart. "
            f"Give {LEAST} to 6, of models that differ: with 3x3 convolutions, with depthwise ones, a large one."
        )


def _moved(target: Target, change: np.ndarray, adapted: Target) -> Target:
    pairs = zip(kinds_of(target.processor), change, strict=True)
    us = {kind.name: float(f"{target.us[kind.name] * np.exp(more):.4g}") for kind, more in pairs}
    source = f"not measured: changed as {adapted.runtime} {adapted.precision} was, with {adapted.threads} threads"
    return target.model_copy(update={"us": us, "doubt": MOVED, "measured": 0, "source": source})
