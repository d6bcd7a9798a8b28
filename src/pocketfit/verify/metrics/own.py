"""A metric of the user's own: any function of outputs and targets."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence

import numpy as np

from pocketfit.errors import DataError, OptionError
from pocketfit.importing import origin, resolve
from pocketfit.types import MetricInfo, TensorSpec
from pocketfit.verify.metrics.metric import Metric, Scorer

__all__ = ["own_metric"]

# Numbers that a function may go through in the time that one number takes a metric of ours: it is Python.
_SLOWNESS = 20


def own_metric(spec: str) -> Metric:
    """Import `package.module:function` or `file.py:function`.

    The function gets the outputs, a list with one array per output of the model, and the targets, both numpy with the
    same samples first, and returns a number. Its attributes `higher_is_better` (without it, true) and `unit` (without
    it, none) are honoured.

    Raises:
        OptionError: it cannot be imported, or its attributes are something else.
    """
    function = resolve(spec, OptionError)
    if not callable(function):
        raise OptionError(f"--metric {spec} is a {type(function).__name__}. Give a function of outputs and targets.")
    higher, unit = getattr(function, "higher_is_better", True), getattr(function, "unit", "")
    if not isinstance(higher, bool) or not isinstance(unit, str):
        raise OptionError(
            f"{spec} has higher_is_better {higher!r} and unit {unit!r}. Allowed: True or False, and text such as 'dB'."
        )

    def scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
        def of(weights: np.ndarray) -> float:
            positions = np.repeat(np.arange(len(targets)), weights.astype(np.int64))
            return _call(spec, function, [output[positions] for output in outputs], targets[positions])

        return Scorer(of, _SLOWNESS * (targets.size + sum(output.size for output in outputs)))

    return Metric(MetricInfo(spec.rpartition(":")[2], unit, higher), _check, scorer, f"{spec} {_code(function)}")


def _call(spec: str, function: Callable[..., object], outputs: list[np.ndarray], targets: np.ndarray) -> float:
    try:
        value = float(function(outputs, targets))  # type: ignore[arg-type]
    # It is the user's code, which may raise anything.
    except Exception as cause:
        raise DataError(
            f"--metric {spec} failed on {len(targets)} samples: {type(cause).__name__}: {cause}{origin(cause)}. "
            "It gets a list of outputs and the targets, samples first, and returns a number."
        ) from cause
    return value


def _check(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
    """As they are: only the function knows what it needs."""
    if targets.dtype == object:
        raise DataError(f"The targets of {spec} are no array of numbers. Give all samples targets of one shape.")
    return targets


def _code(function: Callable[..., object]) -> str:
    """Sha256, in hexadecimal, of the file it is in: functions beside it may be part of it."""
    try:
        text = inspect.getsource(inspect.getmodule(function) or function)
    except (OSError, TypeError):  # made at run time, or not in Python
        text = ""
    return hashlib.sha256(text.encode()).hexdigest()
