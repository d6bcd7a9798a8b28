"""What a search may choose from: how much is pruned, the input's resolution, and what runs it in which precision."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from pocketfit.errors import OptionError
from pocketfit.types import Precision

__all__ = ["MACS", "Deployment", "Point", "Space", "smaller_inputs"]

MACS = (100, 90, 80, 70, 60, 50, 40, 30)
"""Per cent of the multiply-accumulates that pruning leaves; 100 prunes nothing."""

# Seven eighths of an image's side are what a margin leaves; two steps below that, few networks still see enough.
_SIDES = (6 / 7, 5 / 7)
_LEAST_SIDE = 16


@dataclass(frozen=True)
class Deployment:
    """A runtime in one of its precisions."""

    runtime: str
    precision: Precision

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


@dataclass(frozen=True)
class Point:
    """One candidate.

    Args:
        macs: per cent of the multiply-accumulates that pruning leaves, 1..100.
        input: shape without the batch.
        deployment: what it is converted to.
    """

    macs: int
    input: tuple[int, ...]
    deployment: Deployment

    def __str__(self) -> str:
        pruned = "not pruned" if self.macs == 100 else f"pruned to {self.macs}%"
        return f"{self.deployment}, {pruned}, {'x'.join(map(str, self.input))}"


@dataclass(frozen=True)
class Space:
    """All candidates: every combination.

    Args:
        macs: from the largest on.
        inputs: the model's own first.
        deployments: in the order in which runtimes are listed.

    Raises:
        OptionError: there is nothing to choose from.
    """

    macs: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]
    deployments: tuple[Deployment, ...]

    def __post_init__(self) -> None:
        if not (self.macs and self.inputs and self.deployments):
            raise OptionError(
                "there is nothing to search: no runtime is left that is installed, runs here and has one of the "
                "precisions. `pocketfit runtimes` lists them; see --targets and --precisions."
            )

    def __len__(self) -> int:
        return len(self.macs) * len(self.inputs) * len(self.deployments)

    def points(self) -> list[Point]:
        """Every candidate, those of the whole model first."""
        return [Point(*parts) for parts in itertools.product(self.macs, self.inputs, self.deployments)]

    def first(self) -> list[Point]:
        """What is tried before anything is known: the model as it is in every way to deploy it, the smallest first."""
        smallest = sorted(self.deployments, key=lambda one: list(Precision).index(one.precision), reverse=True)
        return [Point(self.macs[0], self.inputs[0], one) for one in smallest]


def smaller_inputs(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Lower resolutions of an image that are worth a try, the highest first.

    Args:
        shape: channels, height and width.

    Returns:
        Sides are multiples of 32, or of 8 for small images; none for what is no image.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        return ()
    channels, *sides = shape
    found = dict.fromkeys((channels, *(_rounded(share * side) for side in sides)) for share in _SIDES)
    return tuple(one for one in found if one != shape and min(one[1:]) >= _LEAST_SIDE)


def _rounded(side: float) -> int:
    step = 32 if side >= 128 else 8
    return round(side / step) * step
