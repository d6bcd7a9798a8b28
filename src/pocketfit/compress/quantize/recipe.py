"""What is asked of an INT8 plan: ranges, bits, granularity, and what is to be spared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pocketfit.compress.quantize.ranges import Ranges

__all__ = ["Granularity", "Levels", "Recipe"]


class Granularity(StrEnum):
    """How many scales a weight has: one for each output channel, or one."""

    PER_CHANNEL = "per-channel"
    PER_TENSOR = "per-tensor"


class Levels(StrEnum):
    """What a quantized weight may be: any integer of its range, or zero and ± powers of two."""

    LINEAR = "linear"
    POWER_OF_TWO = "power-of-two"


@dataclass(frozen=True)
class Recipe:
    """How an INT8 plan is drawn up from statistics; the defaults are static W8A8.

    Args:
        ranges: how the range of an activation is chosen.
        granularity: of weights.
        levels: of weights.
        weight_bits: 8 or 4. Depthwise layers and the first one keep 8: they do not survive fewer.
        activation_bits: 8; 16; or 32, which leaves activations in float (weight-only).
        dynamic: names of linear layers whose input is quantized at run time.
        keep_float: names of nodes computed in float32.
        half: names of layers computed in float with weights stored in half; they are kept in float as well.
        wide: names of tensors that get 16 bits.
    """

    ranges: Ranges = Ranges.MSE
    granularity: Granularity = Granularity.PER_CHANNEL
    levels: Levels = Levels.LINEAR
    weight_bits: int = 8
    activation_bits: int = 8
    dynamic: frozenset[str] = frozenset()
    keep_float: frozenset[str] = frozenset()
    half: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()
