"""What is to be pruned, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pocketfit.compress.prune.allocate import Allocation
from pocketfit.errors import OptionError

__all__ = ["ChannelRecipe", "Importance"]

# Channels that vector units of CPUs and GPUs take at once, or a multiple of those.
OF_KERNELS = 8


class Importance(StrEnum):
    """By what channels are judged; see `scores` and `obs`."""

    OBS = "obs"
    TAYLOR = "taylor"
    NORM_SCALE = "norm-scale"
    GEOMETRIC_MEDIAN = "geometric-median"
    L1 = "l1"
    L2 = "l2"

    @property
    def needs_data(self) -> bool:
        """Whether it runs the model on samples."""
        return self in (Importance.OBS, Importance.TAYLOR)


@dataclass(frozen=True)
class ChannelRecipe:
    """How channels are removed.

    Args:
        macs: share of the multiply-accumulates that may stay, above 0 and below 1.
        importance: by what channels are judged.
        allocation: how the layers share the burden; None for global with second order, whose losses of different layers
            can be compared, and uniform with any other importance.
        round_to: channels that stay in a layer are a multiple of this; 1 for any number, None for what most kernels
            like.
        refit: whether the layers that are left are fitted to what they gave before, where there are samples.
        width: share of the channels that stays in every group, above 0 and below 1, in place of the budget of
            multiply-accumulates; None for that budget.

    Raises:
        OptionError: a number is out of its range.
    """

    macs: float = 0.5
    importance: Importance = Importance.OBS
    allocation: Allocation | None = None
    round_to: int | None = None
    refit: bool = True
    width: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.macs < 1:
            raise OptionError(
                f"{self.macs} of the multiply-accumulates is no budget. Give a share above 0 and below 1."
            )
        if self.width is not None and not 0 < self.width < 1:
            raise OptionError(f"a width of {self.width} is no scale. Give a share above 0 and below 1, such as 0.75.")
        if self.rounding < 1:
            raise OptionError(f"channels cannot be rounded to {self.rounding}. Give 1 or more; 8 and 16 suit kernels.")

    @property
    def rounding(self) -> int:
        """What the number of channels that stay in a layer is a multiple of."""
        return OF_KERNELS if self.round_to is None else self.round_to

    @property
    def sharing(self) -> Allocation:
        """How the layers share the burden."""
        if self.allocation is not None:
            return self.allocation
        return Allocation.GLOBAL if self.importance is Importance.OBS else Allocation.UNIFORM
