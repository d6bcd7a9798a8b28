"""Ops of a model replaced by others, with the error that it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch.fx import GraphModule

from pocketfit.errors import OptionError
from pocketfit.graph.replacements import REPLACEMENTS, Replacement
from pocketfit.graph.running import plain_copy, run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.models.quiet import quiet
from pocketfit.types import LoadedModel

__all__ = ["ALL", "Replaced", "find_replacements", "random_samples", "replace_ops"]

# The row of all that were asked for together.
ALL = "all of them"
RANDOM_SAMPLES = 8


@dataclass(frozen=True)
class Replaced:
    """What one replacement does to a model, alone; or all of them, together.

    Args:
        name: of the replacement, or `ALL`.
        becomes: what is computed instead.
        count: calls that were replaced.
        equal: whether the same is computed, up to the rounding of floats.
        largest: largest difference of an output value, as a share of the range of all outputs.
        rms: root of the mean square of the differences, as a share of that range.
    """

    name: str
    becomes: str
    count: int
    equal: bool
    largest: float
    rms: float


def find_replacements(names: Sequence[str]) -> tuple[Replacement, ...]:
    """The replacements of those names, in the order in which they are done.

    Raises:
        OptionError: there is none of a name.
    """
    known = {one.name: one for one in REPLACEMENTS}
    for name in names:
        if name not in known:
            raise OptionError(f"--replace {name!r} is no replacement. Allowed: {', '.join(known)}.")
    return tuple(one for one in REPLACEMENTS if one.name in names)


def random_samples(model: LoadedModel) -> list[np.ndarray]:
    """Inputs to measure with where there are no data: normal numbers, always the same."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal((1, *model.row_shape), dtype=np.float32) for _ in range(RANDOM_SAMPLES)]


def replace_ops(
    model: LoadedModel, replacements: Sequence[Replacement], samples: Sequence[np.ndarray]
) -> tuple[LoadedModel, tuple[Replaced, ...]]:
    """Replace ops, and measure what each replacement costs alone, and all of them together.

    Args:
        model: in canonical form; it is not changed.
        replacements: in order.
        samples: float32 batches, as the model takes them.

    Returns:
        The model with all of them done, and a row for each; the last one is for all.

    Raises:
        OptionError: none of them finds anything to replace.
    """
    expected = run_graph(model.graph, samples)
    rows = [_row(model, (one,), one.name, one.becomes, samples, expected) for one in replacements]
    if not any(row.count for row in rows):
        raise OptionError(f"--replace: {model.name} has none of these ops. Leave the option out.")
    rows.append(_row(model, replacements, ALL, "", samples, expected))
    graph, _ = _done(model, replacements)
    changed = canonicalise(graph, model.input_shape, name=model.name, source=model.source)
    return replace(changed, preprocess=model.preprocess), tuple(rows)


def _row(
    model: LoadedModel,
    replacements: Sequence[Replacement],
    name: str,
    becomes: str,
    samples: Sequence[np.ndarray],
    expected: np.ndarray,
) -> Replaced:
    graph, count = _done(model, replacements)
    largest, rms = _errors(run_graph(graph, samples), expected) if count else (0.0, 0.0)
    return Replaced(name, becomes, count, all(one.equal for one in replacements), largest, rms)


def _done(model: LoadedModel, replacements: Sequence[Replacement]) -> tuple[GraphModule, int]:
    with quiet():
        graph = plain_copy(model.graph)
    return graph, sum(one.apply(graph) for one in replacements)


def _errors(got: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    difference = np.abs(got.astype(np.float64) - expected)
    # A constant output has no range to measure by: its own size is the next best.
    scale = float(np.ptp(expected)) or float(np.abs(expected).max()) or 1.0
    return float(difference.max()) / scale, float(np.sqrt(np.mean(difference**2))) / scale
