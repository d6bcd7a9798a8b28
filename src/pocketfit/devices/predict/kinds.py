"""The kinds of work that a processor has a speed for.

Kinds follow the kernels of mobile runtimes, not the names of layers: a 3×3 convolution of stride 1 goes through
Winograd's algorithm, a 1×1 convolution is a matrix product, a depthwise one is bound by loads, a dilated one has no
kernel of its own on most NPUs, and a linear layer of a single row is bound by reading its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "KIND_NAMES", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of work.

    Args:
        name: as profiles spell it.
        group: kinds that tend to be fast or slow together: "arithmetic", "depthwise", "traffic", "weights", "calls".
        unit: what one unit of it is.
        int8: whether kernels for INT8 differ from those for floats.
        prior_us: microseconds a unit on a middling core, before anything was measured.
    """

    name: str
    group: str
    unit: str
    int8: bool
    prior_us: float


_MACS = "million multiply-accumulates"
_NUMBERS = "million numbers read and written"
_WEIGHTS = "million weights"

# Priors: what a unit costs beside a million multiply-accumulates of a 1x1 convolution at 10 a nanosecond.
KINDS: tuple[Kind, ...] = (
    Kind("first_convolution", "arithmetic", _MACS, True, 200.0),
    Kind("pointwise", "arithmetic", _MACS, True, 100.0),
    Kind("winograd", "arithmetic", "million products after Winograd's transform", True, 200.0),
    Kind("convolution", "arithmetic", _MACS, True, 135.0),
    Kind("dilated", "arithmetic", _MACS, True, 135.0),
    Kind("grouped", "arithmetic", _MACS, True, 330.0),
    Kind("matrix_product", "arithmetic", _MACS, False, 100.0),
    Kind("depthwise_3x3", "depthwise", _MACS, True, 600.0),
    Kind("depthwise", "depthwise", _MACS, True, 600.0),
    Kind("convolution_traffic", "traffic", _NUMBERS, True, 820.0),
    Kind("winograd_traffic", "traffic", _NUMBERS, True, 1800.0),
    Kind("elementwise", "traffic", _NUMBERS, False, 1350.0),
    Kind("movement", "traffic", _NUMBERS, False, 1350.0),
    Kind("activation", "traffic", "million numbers written by sigmoid, SiLU, GELU or a norm", False, 3700.0),
    Kind("softmax", "traffic", "million numbers read by a softmax, a local norm or a detection head", False, 6000.0),
    Kind("convolution_weights", "weights", _WEIGHTS, True, 1350.0),
    Kind("linear_weights", "weights", _WEIGHTS, True, 1350.0),
    Kind("calls", "calls", "op", False, 13.5),
)
KIND_NAMES = tuple(kind.name for kind in KINDS)
